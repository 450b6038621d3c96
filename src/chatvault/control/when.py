"""Times as people write them in a request."""

import re

from chatvault.core.clock import from_iso, now_us
from chatvault.core.errors import ClientError

_AGO = re.compile(r"(\d{1,9})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment(text: str, param: str) -> int:
    """Microseconds since the epoch of `2026-01-31T17:00:00Z`, or of so long ago: `90s`, `15m`, `24h`, `7d`;
    the epoch at most. Raises ClientError."""
    ago = _AGO.match(text)
    if ago is not None:
        return max(now_us() - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000, 0)
    try:
        return from_iso(text.replace(" ", "+"))  # an unescaped `+` of a query arrives as a blank
    except (ValueError, OverflowError):
        raise ClientError(
            f"{param} is no time: write 2026-01-31T17:00:00Z, or how long ago, such as 24h.",
            code="bad_time",
            param=param,
        ) from None
