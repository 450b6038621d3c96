"""Requests by the official libraries' own types: for each field, and each field of its parts, two that differ in nothing
else."""

import types
from collections.abc import Iterable, Iterator, Mapping
from enum import EnumType
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
)
from typing import get_type_hints as hints_of

import pydantic
import typing_extensions

_DEEPEST = 6
_LISTS = (list, Iterable, tuple, set)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAACklEQVR4nGMAAQAABQABDQottAAAAABJRU5ErkJggg=="
TEXTS: dict[str, str] = {
    "data": PIXEL,
    "url": "https://example.com/a.png",
    "image_url": "https://example.com/a.png",
    "file_url": "https://example.com/a.pdf",
    "file_uri": "https://example.com/a.pdf",
    "uri": "https://example.com/a.pdf",
    "arguments": '{"a":1}',
    "media_type": "image/png",
    "mime_type": "image/png",
    "file_data": "data:application/pdf;base64,JVBERi0=",
    "type": "object",
}
"""What a text has to be under some names."""


class Case(NamedTuple):
    """A value with the thing at `path`, and the same without it."""

    path: str
    there: Any
    gone: Any


def fields_of(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """The type and whether it is required, by the name on the wire; None for what has no fields."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return {
            field.alias or name: (field.annotation, field.is_required())
            for name, field in kind.model_fields.items()
        }
    if typing_extensions.is_typeddict(kind):
        hints = hints_of(kind, include_extras=True)
        return {name: _needed(hint, name in kind.__required_keys__) for name, hint in hints.items()}
    return None


def _needed(hint: Any, required: bool) -> tuple[Any, bool]:
    if get_origin(hint) in (Required, typing_extensions.Required):
        return get_args(hint)[0], True
    if get_origin(hint) in (NotRequired, typing_extensions.NotRequired):
        return get_args(hint)[0], False
    return hint, required


def choices(kind: Any) -> list[Any]:
    """What a value of the type may be: the members of a union, one by one, without nothing."""
    if isinstance(kind, str | ForwardRef):
        return []
    origin = get_origin(kind)
    if origin is Annotated:
        return choices(get_args(kind)[0])
    if hasattr(kind, "__value__"):
        return choices(kind.__value__)
    if origin in (Union, types.UnionType):
        return [each for member in get_args(kind) for each in choices(member)]
    return [] if kind in (type(None), None) else [kind]


def least(kind: Any, name: str, depth: int = 0) -> Any:
    """The smallest value of a type that has no union in it."""
    origin, args = get_origin(kind), get_args(kind)
    fields = fields_of(kind)
    if fields is not None:
        return {
            field: least(options[0], field, depth + 1)
            for field, (inner, required) in fields.items()
            if required and depth < _DEEPEST + 4 and (options := choices(inner))
        }
    if origin is Literal:
        return args[0]
    if origin is not None and (origin in (dict, Mapping) or issubclass(origin, Mapping)):
        return {"key": least((choices(args[1]) or [str])[0], "key", depth + 1)}
    if origin is not None and issubclass(origin, Iterable) and origin not in (str, dict):
        return [least(choices(args[0])[0], name, depth + 1)] if args and choices(args[0]) else []
    if isinstance(kind, EnumType):
        members: list[Any] = list(kind)
        return next(each.value for each in members if "UNSPECIFIED" not in each.name)
    for plain, value in ((bool, True), (int, 7), (float, 0.5), (str, TEXTS.get(name, f"a {name}"))):
        if kind is plain:
            return value
    if kind is bytes:
        return PIXEL
    return {} if kind in (dict, Mapping) or origin is dict else f"a {name}"


def _values(kind: Any, name: str, depth: int) -> Iterator[Any]:
    """One value for each thing that may stand there."""
    for option in choices(kind):
        if get_origin(option) is Literal:
            yield from get_args(option)
        elif get_origin(option) in _LISTS or (
            get_origin(option) and get_origin(option).__name__ in _SEQUENCES
        ):
            args = get_args(option)
            yield from ([value] for value in _values(args[0], name, depth + 1)) if args else ()
        else:
            yield least(option, name, depth)


_SEQUENCES = frozenset(("Iterable", "Sequence", "SequenceNotStr", "list"))


def cases(kind: Any, name: str, depth: int = 0) -> Iterator[Case]:
    """Every thing that may be in a value of the type, there and gone."""
    if depth > _DEEPEST:
        return
    for option in choices(kind):
        args, origin = get_args(option), get_origin(option)
        fields = fields_of(option)
        if fields is not None:
            yield from _members(option, fields, name, depth)
        elif origin is not None and origin.__name__ in _SEQUENCES and args:
            for member in choices(args[0]):
                if fields_of(member) is not None and depth:
                    yield Case("[0]", [least(member, name, depth + 1)], [])
            for inner in cases(args[0], name, depth + 1):
                yield Case(f"[0].{inner.path}", [inner.there], [inner.gone])


def _members(kind: Any, fields: dict[str, tuple[Any, bool]], name: str, depth: int) -> Iterator[Case]:
    base = least(kind, name, depth)
    for field, (inner, required) in fields.items():
        if not required:
            for value in _values(inner, field, depth + 1):
                yield Case(field, {**base, field: value}, base)
        for case in cases(inner, field, depth + 1):
            joined = f"{field}{case.path}" if case.path.startswith("[") else f"{field}.{case.path}"
            yield Case(joined, {**base, field: case.there}, {**base, field: case.gone})
