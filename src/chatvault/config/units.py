"""Sizes and durations as people write them: `32MiB`, `10s`, `5m`, `1.5h`."""

import re
from decimal import Decimal

SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
DURATIONS = {
    "": Decimal(1),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_FORM = re.compile(r"(\d[\d_]*(?:\.\d+)?)\s*([A-Za-z]*)")


def size(text: str) -> int:
    """Bytes. Raises ValueError that says what was expected."""
    amount, unit = _split(text)
    scale = SIZES.get(unit.lower()) if amount is not None else None
    if amount is None or scale is None or amount * scale != int(amount * scale):
        raise ValueError("expected a size such as 65536, 64KiB or 32MiB")
    return int(amount * scale)


def duration(text: str) -> float:
    """Seconds. Raises ValueError that says what was expected."""
    amount, unit = _split(text)
    scale = DURATIONS.get(unit) if amount is not None else None
    if amount is None or scale is None:
        raise ValueError("expected a duration such as 500ms, 10s, 5m or 24h")
    return float(amount * scale)


def size_text(amount: int) -> str:
    """The shortest exact form: 33554432 is `32MiB`."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if amount and amount % scale == 0:
            return f"{amount // scale}{unit}"
    return str(amount)


def duration_text(seconds: float) -> str:
    """The shortest exact form: 3600.0 is `1h`."""
    for unit, scale in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds and seconds % scale == 0:
            return f"{int(seconds // scale)}{unit}"
    return f"{seconds * 1000:g}ms"


def _split(text: str) -> tuple[Decimal | None, str]:
    found = _FORM.fullmatch(text.strip())
    return (Decimal(found[1].replace("_", "")), found[2]) if found is not None else (None, "")
