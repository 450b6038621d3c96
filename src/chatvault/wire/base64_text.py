"""Base64, as dialects hold the bytes of images and files."""

import base64
import binascii
from typing import Final

_URL_SAFE: Final = str.maketrans("-_", "+/")


def standard_base64(data: str) -> str:
    """The same bytes in the alphabet that every dialect takes, padded."""
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    missing = len(data) % 4
    return data + "=" * (4 - missing) if missing else data


def is_base64(data: str) -> bool:
    try:
        base64.b64decode(standard_base64(data), validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(data)
