"""JSON as values, read from strangers as far as it can be: each helper gives the value it asks for, or
nothing where it is of another kind.

Some providers cut an emoji in two, so that half of it stands alone in a text; such a half becomes U+FFFD.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.core.errors import ClientError

Values = dict[str, object]
encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_MOST: Final = (1 << 63) - 1


def decode(body: bytes | msgspec.Raw) -> object:
    """Raises ValueError for what is no JSON."""
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError:
        said = bytes(body)
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], said)
        if mended == said:
            raise
    try:
        return _decode(mended)
    except RecursionError:
        raise ValueError("nested too deep") from None


def decode_object(body: bytes | msgspec.Raw) -> Values:
    """Raises ValueError for what is not one JSON object."""
    value = decode(body)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def decode_request(body: bytes) -> Values:
    """Raises ClientError (400) for what is no JSON object."""
    try:
        value = decode(body)
    except ValueError as error:
        raise ClientError(
            f"The request body is not valid JSON: {error}. Send one JSON object in UTF-8.",
            code="invalid_json",
        ) from None
    if not isinstance(value, dict):
        raise ClientError("The request body is JSON, but not an object. Send an object.", code="invalid_json")
    return value


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))


def raws(values: Mapping[str, object]) -> dict[str, msgspec.Raw] | None:
    """None for an empty mapping."""
    return {name: raw(value) for name, value in values.items()} if values else None


def put(out: Values, **members: object) -> None:
    """The members that say something."""
    for name, value in members.items():
        if value is not None:
            out[name] = value


# The value if it is of the kind, else None.


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def name_of(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def number_of(value: object) -> int | None:
    """A number, cut to a whole one."""
    if type(value) is int and -_MOST <= value <= _MOST:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if -_MOST <= value <= _MOST else None


def number(value: object) -> float | None:
    """Numbers, and numbers in quotes, as Protocol Buffers' JSON has them."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            return None
        return found if found == found and abs(found) != float("inf") else None
    return None


def integer(value: object) -> int | None:
    """Whole numbers, also as `3.0` and `"3"`."""
    if type(value) is int and -_MOST <= value <= _MOST:
        return value
    found = number(value)
    if found is None or found != found or abs(found) > _MOST or found != int(found):
        return None
    return int(found)


def obj(value: object) -> Values | None:
    return value if isinstance(value, dict) else None


def strings(value: object) -> tuple[str, ...] | None:
    """A list of strings alone."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None


# The value if it is of the kind, else an empty one.


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """Something counted: never negative, 0 where it isn't a number."""
    return max(integer(value) or 0, 0)


def object_of(value: object) -> Values:
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def objects_of(value: object) -> list[Values]:
    """The objects of a list; of anything else none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
