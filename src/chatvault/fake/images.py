"""`POST /v1/images/generations`, `/v1/images/edits` and `/v1/images/variations`."""

import base64
import hashlib
import re
import struct
import zlib

import msgspec

from chatvault.fake.answer import Answer, Stream, json_answer, json_event
from chatvault.fake.errors import Refusal, error_object
from chatvault.fake.request import CREATED, Request
from chatvault.fake.text import count_prompt, sentence

BROKEN = (
    json_event({"type": "error", "error": error_object(500, "The simulated model broke off.")}, "error"),
)
IMAGE_TOKENS = 272
"""Output tokens of one image."""


class ImageRequest(msgspec.Struct):
    prompt: str
    model: str = "simulated-image"
    n: int | None = None
    size: str | None = None
    response_format: str | None = None
    stream: bool | None = None
    partial_images: int | None = None


def generations(request: Request) -> Answer:
    """Images from words. Raises Refusal."""
    return _answer(request, request.decode(ImageRequest), "image_generation", 0)


def edits(request: Request) -> Answer:
    """Images from an image and words. Raises Refusal."""
    form = request.form()
    form.upload("image")
    try:
        wish = msgspec.convert(form.fields, ImageRequest, strict=False)
    except msgspec.ValidationError as fault:
        raise Refusal(400, f"The request does not fit: {fault}.") from fault
    return _answer(request, wish, "image_edit", 100)


def variations(request: Request) -> Answer:
    """Images from an image. Raises Refusal."""
    form = request.form()
    form.upload("image")
    wish = msgspec.convert({"prompt": "", **form.fields}, ImageRequest, strict=False)
    return _answer(request, wish, "image_variation", 100)


def png(width: int, height: int, seed: bytes) -> bytes:
    """A picture of one colour, which the seed chooses."""

    def block(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" * (1 + (width + 7) // 8)
    head = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    pixels = zlib.compress(row * height, 6)
    return (
        b"\x89PNG\r\n\x1a\n"
        + block(b"IHDR", head)
        + block(b"PLTE", seed[:3])
        + block(b"IDAT", pixels)
        + block(b"IEND", b"")
    )


def _answer(request: Request, wish: ImageRequest, kind: str, image_tokens: int) -> Answer:
    width, height = _size(wish.size)
    count = max(1, min(wish.n or 1, 10))
    text = count_prompt(len(wish.prompt.encode()), 0)
    usage = {
        "input_tokens": text + image_tokens,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image_tokens},
        "output_tokens": IMAGE_TOKENS * count,
        "total_tokens": text + image_tokens + IMAGE_TOKENS * count,
    }
    seeds = [hashlib.sha256(f"{request.digest()} {i}".encode()).digest() for i in range(count)]
    shown = {"size": f"{width}x{height}", "quality": "low", "background": "opaque", "output_format": "png"}
    if wish.stream:
        picture = base64.b64encode(png(width, height, seeds[0])).decode()
        common = {"b64_json": picture, "created_at": CREATED, **shown}
        partial = [
            json_event(
                {"type": f"{kind}.partial_image", "partial_image_index": i, **common},
                f"{kind}.partial_image",
                delta=True,
            )
            for i in range(wish.partial_images or 0)
        ]
        last = json_event(
            {"type": f"{kind}.completed", **common, "usage": usage}, f"{kind}.completed", delta=True
        )
        return Stream(events=(*partial, last), broken=BROKEN)
    if wish.response_format == "url":
        data = [{"url": f"https://images.invalid/{seed.hex()}.png"} for seed in seeds]
        return json_answer({"created": CREATED, "data": data})
    pictures = [base64.b64encode(png(width, height, seed)).decode() for seed in seeds]
    revised = sentence(wish.prompt)
    images = [{"b64_json": picture, "revised_prompt": revised} for picture in pictures]
    return json_answer({"created": CREATED, "data": images, **shown, "usage": usage})


def _size(wanted: str | None) -> tuple[int, int]:
    if wanted in (None, "auto"):
        return 64, 64
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", wanted or "")
    if found is None or "0" in found.groups():
        raise Refusal(400, f"The size {wanted!r} is not WIDTHxHEIGHT.", param="size")
    return int(found[1]), int(found[2])
