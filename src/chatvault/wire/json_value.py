"""JSON of providers and clients read tolerantly: each helper gives the value it asks for, or None where it
is of another kind.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.json_fields import without_surrogates

Object = dict[str, object]
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_MOST: Final = 1 << 62


def loads(body: bytes | msgspec.Raw) -> object:
    """Raises ValueError. Lone surrogates (some providers cut an emoji in two) become letters of the private
    use area.
    """
    try:
        return _decode(body)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except msgspec.DecodeError:
        text = without_surrogates(bytes(body))
        if text is None:
            raise
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def load_object(body: bytes | msgspec.Raw) -> Object:
    """Raises ValueError for what is not one JSON object."""
    value = loads(body)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def request_object(body: bytes) -> Object:
    """A request's body. Raises ClientError (400)."""
    try:
        return load_object(body)
    except ValueError as error:
        raise ClientError(
            f"The request body is not a JSON object: {error}. Send one JSON object in UTF-8.",
            code="invalid_json",
        ) from None


def dumps(value: object) -> bytes:
    return _encode(value)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def raws(values: Mapping[str, object]) -> dict[str, msgspec.Raw] | None:
    """None for an empty mapping."""
    return {name: raw(value) for name, value in values.items()} if values else None


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


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
    found = number(value)
    if found is None or found != found or abs(found) > _MOST or found != int(found):
        return None
    return int(found)


def count(value: object) -> int:
    """Something counted: never negative, 0 where it isn't a number."""
    return max(integer(value) or 0, 0)


def obj(value: object) -> Object | None:
    return value if isinstance(value, dict) else None


def objects(value: object) -> list[Object]:
    """The objects of a list; of anything else none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def strings(value: object) -> tuple[str, ...] | None:
    """A list of strings alone."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None


def standard_base64(data: str) -> str:
    """The same bytes in the alphabet that every dialect takes, padded."""
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    missing = len(data) % 4
    return data + "=" * (4 - missing) if missing else data


_URL_SAFE: Final = str.maketrans("-_", "+/")


def is_base64(data: str) -> bool:
    try:
        base64.b64decode(standard_base64(data), validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(data)
