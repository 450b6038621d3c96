"""Limits as people write them on a command line: `100/minute`, `5000 tokens/hour`, `concurrent=4`."""

import re
from typing import Final

import typer

_SPANS: Final = {
    "minute": "minute", "min": "minute", "m": "minute", "hour": "hour", "h": "hour", "day": "day", "d": "day",
}  # fmt: skip
_RATE: Final = re.compile(r"(\d[\d_,]*)\s*(requests|tokens)?\s*(?:/|per)\s*([a-z]+)")
_CONCURRENT: Final = re.compile(r"(?:concurrent\s*=\s*)?(\d+)(?:\s+concurrent)?")

HELP: Final = (
    "Such as `100/minute`, `50000 tokens/day`, `concurrent=4`, `shadow`; several times, or with commas; `none` takes "
    "them away."
)


def limits(words: list[str]) -> dict[str, object]:
    """The API's `limits` of these words. Raises typer.BadParameter."""
    found: dict[str, object] = {}
    for word in (part.strip().lower() for text in words for part in text.split(",")):
        if word in ("", "none"):
            continue
        if word == "shadow":
            found["shadow"] = True
            continue
        rate = _RATE.fullmatch(word)
        if rate is not None and rate[3] in _SPANS:
            found[f"{rate[2] or 'requests'}_per_{_SPANS[rate[3]]}"] = int(rate[1].replace("_", ""))
            continue
        concurrent = _CONCURRENT.fullmatch(word) if "concurrent" in word else None
        if concurrent is None:
            raise typer.BadParameter(
                f"{word!r} is no limit: write 100/minute, 50000 tokens/day, concurrent=4 or shadow",
                param_hint="--limit",
            )
        found["concurrent"] = int(concurrent[1])
    return found


def said(limits: dict[str, object] | None) -> str:
    """Limits as the API shows them, in the words they are written in."""
    if not limits:
        return "none"
    words = []
    for name, value in limits.items():
        unit, _, span = name.partition("_per_")
        if span:
            words.append(f"{value} {unit}/{span}")
        else:
            words.append(name if value is True else f"{name}={value}")
    return ", ".join(words)
