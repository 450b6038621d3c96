"""Images come and go as base64 without a type; their first bytes tell it."""

from typing import Final

_BEGINNINGS: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("Qk", "image/bmp"),
)


def mime_of(data: str) -> str:
    """The type of an image in base64. What is none of the known is taken for a PNG: providers look for
    themselves.
    """
    if data.startswith("UklGR") and data[12:16] == "RUJQ":
        return "image/webp"
    return next((mime for beginning, mime in _BEGINNINGS if data.startswith(beginning)), "image/png")
