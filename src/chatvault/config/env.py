"""The environment, read in one place, once; and which variable holds which setting."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from chatvault.config.convert import nearest
from chatvault.config.schema import Config
from chatvault.config.tree import Branch, Leaf, Tree, graft, planted
from chatvault.core.errors import OperatorError

PREFIX = "CHATVAULT_"

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"\s*(?:#.*)?|'([^']*)'\s*(?:#.*)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class EnvSetting(msgspec.Struct, frozen=True):
    """A setting that a variable can hold: all but those that stand under names the operator chooses."""

    path: tuple[str, ...]
    variable: str
    kind: Any
    default: object

    @property
    def key(self) -> str:
        """As in `server.port`."""
        return ".".join(self.path)


def env_settings(section: type[msgspec.Struct] = Config, path: tuple[str, ...] = ()) -> Iterator[EnvSetting]:
    """All of them, in the order of the schema: `server.port` is in `CHATVAULT_SERVER_PORT`."""
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        kind, here = hints[field.name], (*path, field.name)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from env_settings(kind, here)
        elif get_origin(kind) is not dict:
            variable = _extra(kind).get("env", PREFIX + "_".join(here).upper())
            yield EnvSetting(here, variable, kind, field.default)


def environment(directory: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the process, over those of `.env` in the directory. Raises OperatorError for a bad
    `.env`."""
    file = directory / ".env"
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file} cannot be read: {error}", code="bad_config") from None
    return parse_dotenv(text, str(file)) | dict(os.environ if environ is None else environ)


def parse_dotenv(text: str, name: str) -> dict[str, str]:
    """`NAME=value` lines, with or without `export`; values bare, in '...' as they stand, or in "..." with
    \\n, \\t, \\" and \\\\; a `#` after a blank begins a comment. Raises OperatorError that names file and
    line, never the value."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = _value(match[2]) if match is not None else None
        if match is None:
            problems.append(f"{name}:{number}: expected NAME=value")
        elif value is None:
            problems.append(f"{name}:{number}: {match[1]}: the quotes do not end where the value ends")
        else:
            found[match[1]] = value
    if problems:
        raise OperatorError("\n".join(problems), code="bad_config")
    return found


def overlay(tree: Branch, environ: Mapping[str, str], problems: list[str]) -> Branch:
    """The tree with the settings that variables hold in place of its own."""
    settings = {setting.variable: setting for setting in env_settings()}
    sections = tuple(f"{PREFIX}{field.name.upper()}_" for field in msgspec.structs.fields(Config))
    for variable, text in environ.items():
        where = f"{variable} in the environment"
        if (setting := settings.get(variable)) is not None:
            if text.strip():  # one that is set to nothing is not set
                tree = graft(tree, setting.path, _planted(text, setting.kind, where))
        elif variable.startswith(sections):
            problems.append(f"{where}: no such setting; {nearest(variable, settings)}")
    return tree


def _planted(text: str, kind: Any, where: str) -> Tree:
    if get_origin(kind) is tuple:
        return planted([item.strip() for item in text.split(",") if item.strip()], where)
    return Leaf(text, where)


def _value(text: str) -> str | None:
    """What stands after the equals sign; None where a quote is not closed, or goes on after it."""
    if text[:1] in ("'", '"'):
        match = _QUOTED.fullmatch(text)
        if match is None:
            return None
        if match[2] is not None:
            return match[2]
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), match[1])
    return re.sub(r"(^|\s+)#.*", "", text).strip()


def _extra(kind: Any) -> dict[str, Any]:
    return get_args(kind)[1].extra or {} if get_origin(kind) is Annotated else {}
