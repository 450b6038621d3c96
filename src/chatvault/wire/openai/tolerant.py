"""JSON as values, read from strangers: a request is told where it is wrong, an answer is read as far as it
can be.

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


def decode(body: bytes) -> object:
    """Raises ValueError for what is no JSON."""
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
        if mended == body:
            raise
        return _decode(mended)


def decode_request(body: bytes) -> Values:
    """Raises ClientError (400) for what is no JSON object."""
    try:
        value = decode(body)
    except ValueError as error:
        raise ClientError(
            f"The request body is not valid JSON: {error}. Send one JSON object.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise ClientError("The request body is JSON, but not an object. Send an object.", code="invalid_json")
    return value


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))


def unread(rest: Mapping[str, object]) -> dict[str, msgspec.Raw] | None:
    """What is left of an object when all known members are taken out; a null says nothing."""
    left = {name: raw(value) for name, value in rest.items() if value is not None}
    return left or None


# Of an answer: the value if it is of the kind, else nothing.


def text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def name_of(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def number_of(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if -_MOST <= value <= _MOST else None


def object_of(value: object) -> Values:
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def objects_of(value: object) -> list[Values]:
    return [each for each in list_of(value) if isinstance(each, dict)]


# Of a request: the member taken out, or the refusal that names it.


def refused(path: str, kind: str) -> ClientError:
    return ClientError(f"The field '{path}' must be {kind}.", code="invalid_field", param=path)


def take_text(rest: Values, name: str, path: str = "") -> str | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise refused(path + name, "a string")
    return value


def take_truth(rest: Values, name: str, path: str = "") -> bool | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, bool):
        raise refused(path + name, "true or false")
    return value


def take_whole(rest: Values, name: str, path: str = "") -> int | None:
    value = rest.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise refused(path + name, "a whole number")
    return int(value)


def take_number(rest: Values, name: str, path: str = "") -> float | None:
    value = rest.pop(name, None)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise refused(path + name, "a number")
    return value


def take_list(rest: Values, name: str, path: str = "") -> list[object] | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, list):
        raise refused(path + name, "an array")
    return value


def take_object(rest: Values, name: str, path: str = "") -> Values | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, dict):
        raise refused(path + name, "an object")
    return value


def put(out: Values, **members: object) -> None:
    """The members that say something."""
    for name, value in members.items():
        if value is not None:
            out[name] = value
