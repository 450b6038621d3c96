"""Reads the configuration: command line over environment over `.env` over the file over the defaults.

The file is only composed, never constructed: every value stays the text it is in the file until its setting
says what it should be, so that 2.50 dollars are not pressed through a binary float, and every problem can
name its line.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from chatvault.config.convert import convert
from chatvault.config.env import PREFIX, overlay
from chatvault.config.networks import parse_networks
from chatvault.config.schema import Config
from chatvault.config.store_url import parse_store
from chatvault.config.tree import Branch, Items, Leaf, Tree, graft, planted
from chatvault.config.webhook_url import problems_of
from chatvault.core.errors import OperatorError

DEFAULT_FILE = "config.yaml"
MAX_DEPTH = 16
_HOLE = re.compile(r"\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)(:-((?:[^}\\]|\\.)*))?\}")
_NULL = "tag:yaml.org,2002:null"
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value")
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Config:
    """The configuration. Raises OperatorError with a line for every problem there is.

    `path` is what `--config` says. `environ` is `env.environment(...)`: the process's variables and those of
    `.env`. `overrides` are the command line's, by key (`server.port`); those that are None are not set.
    """
    problems: list[str] = []
    file = find(path, environ)
    tree = _read(file, environ, problems) if file is not None else Branch({}, "no file")
    tree = overlay(tree, environ, problems)
    for key, value in overrides.items():
        if value is not None:
            tree = graft(tree, tuple(key.split(".")), planted(value, "the command line"))
    config = convert(tree, Config, "", problems)
    assert isinstance(config, Config)
    problems += _contradictions(config)
    if problems:
        raise OperatorError("\n".join(problems), code="bad_config")
    return config


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: `--config`, else `CHATVAULT_CONFIG`, else `config.yaml` in the working directory if
    there is one. Raises OperatorError for a file that was named and is not there."""
    named = path if path is not None else _named(environ)
    if named is None:
        return Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
    if not named.is_file():
        said = "--config" if path is not None else f"{PREFIX}CONFIG"
        raise OperatorError(f"{named}: there is no such file, and {said} names it", code="bad_config")
    return named


def _named(environ: Mapping[str, str]) -> Path | None:
    text = environ.get(f"{PREFIX}CONFIG", "")
    return Path(text) if text else None


def _read(file: Path, environ: Mapping[str, str], problems: list[str]) -> Branch:
    empty = Branch({}, str(file))
    try:
        loader = yaml.SafeLoader(file.read_text("utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return empty
            tree = _Composed(loader, str(file), environ, problems).tree(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        problems.append(f"{file}{line}: {error.problem or error.context}")
        return empty
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems.append(f"{file} cannot be read: {error}")
        return empty
    if not isinstance(tree, Branch):
        problems.append(f"{tree.where}: the file must be a mapping of settings, as in `server:`")
        return empty
    return tree


class _Composed:
    """Walks a file's nodes, and fills in what the environment holds."""

    def __init__(
        self, loader: yaml.SafeLoader, file: str, environ: Mapping[str, str], problems: list[str]
    ) -> None:
        self._loader = loader
        self._file = file
        self._environ = environ
        self._problems = problems

    def tree(self, node: yaml.Node, depth: int = 0) -> Tree:
        where = self._where(node)
        if depth > MAX_DEPTH:
            self._problems.append(f"{where}: nested too deep")
            return Leaf(None, where)
        if node.tag not in _TAGS:
            self._problems.append(f"{where}: the tag {node.tag} means nothing here")
        if isinstance(node, yaml.MappingNode):
            return self._branch(node, where, depth)
        if isinstance(node, yaml.SequenceNode):
            return Items(tuple(self.tree(item, depth + 1) for item in node.value), where)
        return Leaf(None if node.tag == _NULL else self._filled(str(node.value), where), where)

    def _branch(self, node: yaml.MappingNode, where: str, depth: int) -> Branch:
        self._duplicates(node)
        self._loader.flatten_mapping(node)  # what `<<` merges comes first, and the node's own keys over it
        entries: dict[str, Tree] = {}
        keys: dict[str, str] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problems.append(f"{self._where(key)}: a key must be a plain name")
                continue
            name = str(key.value)
            entries[name], keys[name] = self.tree(value, depth + 1), self._where(key)
        return Branch(entries, where, keys)

    def _duplicates(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                self._problems.append(f"{self._where(key)}: {name} is set twice")
            seen.add(name)

    def _filled(self, text: str, where: str) -> str:
        """`${NAME}` and `${NAME:-default}` filled in; `$${` stands for `${`."""

        def fill(hole: re.Match[str]) -> str:
            if hole[1]:
                return hole[0][1:]
            value = self._environ.get(hole[2], "")
            if value:
                return value
            if hole[3] is not None:
                return hole[4]
            self._problems.append(
                f"{where}: ${{{hole[2]}}} is not set; set {hole[2]} in the environment or .env, "
                f"or write ${{{hole[2]}:-a default}}"
            )
            return ""

        return _HOLE.sub(fill, text)

    def _where(self, node: yaml.Node) -> str:
        return f"{self._file}:{node.start_mark.line + 1}"


def _contradictions(config: Config) -> list[str]:
    """What is wrong only together."""
    server = config.server
    problems = []
    try:
        parse_networks(server.trusted_proxies)
    except ValueError as error:
        problems.append(f"server.trusted_proxies: {error}; name addresses or networks, as 10.0.0.0/8")
    if server.port and (server.host, server.port) == (server.admin_host, server.admin_port):
        problems.append(f"server.port and server.admin_port are both {server.port}; they must differ")
    if server.max_body > server.max_bodies:
        problems.append(
            "server.max_body is more than server.max_bodies, which holds for all requests together"
        )
    if config.limits.store is not None:
        try:
            parse_store(config.limits.store)
        except ValueError as error:
            problems.append(f"limits.store: {error}")
    return [*problems, *problems_of(config.webhooks)]
