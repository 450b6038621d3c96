"""From a tree of texts to typed settings. Every problem is noted with its place, and none stops the search
for more."""

import difflib
import re
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from chatvault.config.tree import Branch, Items, Leaf, Tree
from chatvault.config.units import duration, size

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Unset:
    """What a setting is that has no value, or none that can be used: its default holds."""


UNSET = Unset()


def convert(tree: Tree, kind: Any, path: str, problems: list[str]) -> Any:
    """The value of type `kind` that `tree` says, or UNSET. `path` names the setting, as in `server.port`."""
    if isinstance(tree, Leaf) and tree.text is None:
        return UNSET
    origin = get_origin(kind)
    if origin is Annotated:
        inner, meta = get_args(kind)[:2]
        return _scalar(tree, inner, meta, path, problems)
    if origin in (Union, types.UnionType):
        (inner,) = (arm for arm in get_args(kind) if arm is not types.NoneType)
        return convert(tree, inner, path, problems)
    if origin is Literal:
        return _choice(tree, get_args(kind), path, problems)
    if origin is tuple:
        return _tuple(tree, get_args(kind)[0], path, problems)
    if origin is dict:
        return _dict(tree, get_args(kind)[1], path, problems)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(tree, kind, path, problems)
    return _scalar(tree, kind, msgspec.Meta(), path, problems)


def nearest(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"


def _scalar(tree: Tree, kind: Any, meta: msgspec.Meta, path: str, problems: list[str]) -> Any:
    if not isinstance(tree, Leaf) or tree.text is None:
        problems.append(f"{tree.where}: {path}: expected one value, not a list or a mapping")
        return UNSET
    try:
        value = _parsed(tree.text, kind, meta)
        _check_range(value, meta)
    except ValueError as error:
        problems.append(f"{tree.where}: {path}: {error}, got {tree.text!r}")
        return UNSET
    return value


def _parsed(text: str, kind: Any, meta: msgspec.Meta) -> object:
    unit = (meta.extra or {}).get("unit")
    if unit == "size":
        return size(text)
    if unit == "duration":
        return duration(text)
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise ValueError("expected true or false")
        return _TRUTH[text.lower()]
    if kind is int:
        if not re.fullmatch(r"-?[0-9][0-9_]{0,18}", text.strip()):
            raise ValueError("expected a whole number")
        return int(text)
    return text


def _check_range(value: Any, meta: msgspec.Meta) -> None:
    if meta.ge is not None and value < meta.ge:
        raise ValueError(f"expected {meta.ge:g} or more")
    if meta.gt is not None and value <= meta.gt:
        raise ValueError(f"expected more than {meta.gt:g}")
    if meta.le is not None and value > meta.le:
        raise ValueError(f"expected {meta.le:g} or less")
    if meta.pattern is not None and not re.search(meta.pattern, value):
        raise ValueError(f"expected what fits {meta.pattern}")


def _choice(tree: Tree, choices: tuple[str, ...], path: str, problems: list[str]) -> Any:
    if isinstance(tree, Leaf) and tree.text in choices:
        return tree.text
    got = f", got {tree.text!r}" if isinstance(tree, Leaf) else ""
    problems.append(f"{tree.where}: {path}: expected {' or '.join(choices)}{got}")
    return UNSET


def _tuple(tree: Tree, kind: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(tree, Items):
        problems.append(f"{tree.where}: {path}: expected a list, as in [a, b]")
        return UNSET
    values = [convert(item, kind, f"{path}[{number}]", problems) for number, item in enumerate(tree.items)]
    return tuple(value for value in values if value is not UNSET)


def _dict(tree: Tree, kind: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(tree, Branch):
        problems.append(f"{tree.where}: {path}: expected a mapping of names to values")
        return UNSET
    values = {}
    for name, child in tree.entries.items():
        if (
            isinstance(child, Leaf)
            and child.text is None
            and isinstance(kind, type)
            and issubclass(kind, msgspec.Struct)
        ):
            child = Branch({}, child.where)  # `ollama:` alone: all defaults
        values[name] = convert(child, kind, f"{path}.{name}", problems)
    return {name: value for name, value in values.items() if value is not UNSET}


def _struct(tree: Tree, kind: type[msgspec.Struct], path: str, problems: list[str]) -> Any:
    if not isinstance(tree, Branch):
        problems.append(f"{tree.where}: {path or 'the file'}: expected a mapping of settings")
        return UNSET
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for name, child in tree.entries.items():
        inner = f"{path}.{name}" if path else name
        if name not in hints:
            problems.append(f"{tree.where_of(name)}: unknown key {inner}; {nearest(name, hints)}")
            continue
        value = convert(child, hints[name], inner, problems)
        if value is not UNSET:
            values[name] = value
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in values:
            if field.name not in tree.entries:
                problems.append(f"{tree.where}: {path}: {field.name} is needed")
            return UNSET
    return kind(**values)
