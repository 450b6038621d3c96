"""Which coding agents are tested, and how each is set up; docs/clients.md gives the same lines."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from chatvault.bench.own_gateway import environ_without_providers
from tests.clients.program import HERE, ROOT

_BIN = HERE / "agents" / "node_modules" / ".bin"
_AIDER = ROOT / ".venv-aider" / "bin"


class Setup(msgspec.Struct, frozen=True):
    """Where the gateway is, what it is told, and the agent's empty home, in which its project lies."""

    url: str
    token: str
    home: Path


class Run(msgspec.Struct, frozen=True):
    """A command, the variables it needs, and what it reads."""

    words: list[str]
    variables: dict[str, str]
    input: str = ""


class Agent(msgspec.Struct, frozen=True):
    """`model` is one that it takes for its own; `call` is its tool for a command, in the words of a script."""

    name: str
    command: Path
    endpoint: str
    model: str
    call: str
    run: Callable[[Setup, str, str], Run]
    """From the setup, the model and the prompt."""

    def missing(self) -> str | None:
        return (
            None if self.command.exists() else f"no {self.command.relative_to(ROOT)}: make agents installs it"
        )


def _claude(setup: Setup, model: str, prompt: str) -> Run:
    variables = {
        "ANTHROPIC_BASE_URL": setup.url,
        "ANTHROPIC_AUTH_TOKEN": setup.token,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return Run(["claude", "-p", prompt, "--model", model, "--allowedTools", "Bash"], variables)


def _codex(setup: Setup, model: str, prompt: str) -> Run:
    folder = setup.home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        'model_provider = "chatvault"\n'
        "[model_providers.chatvault]\n"
        'name = "ChatVault"\n'
        f'base_url = "{setup.url}/v1"\n'
        'env_key = "CHATVAULT_TOKEN"\n'
        'wire_api = "responses"\n'
    )
    words = ["codex", "exec", "--skip-git-repo-check", "-s", "danger-full-access", "-m", model, prompt]
    return Run(words, {"CHATVAULT_TOKEN": setup.token})


def _gemini(setup: Setup, model: str, prompt: str) -> Run:
    folder = setup.home / ".gemini"
    folder.mkdir()
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    variables = {"GEMINI_API_KEY": setup.token, "GOOGLE_GEMINI_BASE_URL": setup.url}
    return Run(["gemini", "--skip-trust", "-y", "-m", model, "-p", prompt], variables)


def _opencode(setup: Setup, model: str, prompt: str) -> Run:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{setup.url}/v1", "apiKey": "{env:CHATVAULT_TOKEN}"},
        "models": {model: {}},
    }
    config = {
        "provider": {"chatvault": provider},
        "small_model": f"chatvault/{model}",
        "permission": {"bash": "allow"},
        "autoupdate": False,
        "share": "disabled",
    }
    (setup.home / "project" / "opencode.json").write_text(json.dumps(config))
    variables = {"CHATVAULT_TOKEN": setup.token, "OPENCODE_DISABLE_MODELS_FETCH": "1"}
    return Run(["opencode", "run", "-m", f"chatvault/{model}"], variables, prompt)


def _aider(setup: Setup, model: str, prompt: str) -> Run:
    """Each of its lines is a message, and it has no tools: what is said is all there is."""
    said = prompt.splitlines()[-1]
    words = ["aider", "--model", f"openai/{model}", "--no-git", "--yes-always", "--message", said]
    quiet = ["--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-fancy-input"]
    variables = {"OPENAI_API_BASE": f"{setup.url}/v1", "OPENAI_API_KEY": setup.token}
    return Run(words + quiet, variables)


_SHELL = '{"command": "printf hi-from-%d 42", "description": "Say hi"}'
AGENTS = (
    Agent("claude-code", _BIN / "claude", "messages", "claude-sonnet-5", f"Bash {_SHELL}", _claude),
    Agent(
        "codex",
        _BIN / "codex",
        "responses",
        "gpt-5",
        'exec_command {"cmd": "printf hi-from-%d 42"}',
        _codex,
    ),
    Agent(
        "gemini-cli",
        _BIN / "gemini",
        "streamGenerateContent",
        "gemini-2.5-flash",
        f"run_shell_command {_SHELL}",
        _gemini,
    ),
    Agent("opencode", _BIN / "opencode", "chat.completions", "gpt-4o-mini", f"bash {_SHELL}", _opencode),
    Agent("aider", _AIDER / "aider", "chat.completions", "gpt-4o-mini", "", _aider),
)


def environment(agent: Agent, run: Run, home: Path) -> dict[str, str]:
    """What the agent is told, and nothing of this machine's own agents and providers."""
    kept = {
        name: value for name, value in environ_without_providers().items() if name in ("PATH", "LANG", "TERM")
    }
    node = shutil.which("node") or "node"
    path = f"{agent.command.parent}:{Path(node).parent}:{kept.get('PATH', '')}"
    return kept | {"HOME": str(home), "PATH": path} | run.variables
