"""Where a provider listens: what a base URL says, taken apart once."""

import re
from typing import Final

import msgspec

from chatvault.core.errors import OperatorError

_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9.\-_]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(/[^?#\x00-\x20\x7f-\U0010ffff]*)?"
)


class Origin(msgspec.Struct, frozen=True):
    """`path` is the base path, without a slash at its end. `socket` is a unix socket's path, and then `host`
    is only a name.
    """

    tls: bool
    host: str
    port: int
    path: str
    socket: str | None = None

    @property
    def authority(self) -> bytes:
        """The value of the field `host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.tls else 80
        return host.encode() if self.port == default or self.socket else f"{host}:{self.port}".encode()


def parse_origin(url: str) -> Origin:
    """`http(s)://host[:port][/path]`, or `unix:/path/to/socket[:/path]`. Raises OperatorError."""
    if url.startswith("unix:"):
        socket, _, path = url.removeprefix("unix:").partition(":")
        return Origin(False, "localhost", 80, path.rstrip("/"), socket)
    match = _URL.fullmatch(url)
    if match is None:
        raise OperatorError(
            f"{url!r} is no base URL. Write http://host[:port]/path, https://..., or unix:/path/to/socket:/path.",
            code="bad_base_url",
        )
    tls, port = match[1] == "https", int(match[3] or 0)
    if port > 65535:
        raise OperatorError(f"{url!r} has a port over 65535.", code="bad_base_url")
    return Origin(tls, match[2].strip("[]"), port or (443 if tls else 80), (match[4] or "").rstrip("/"))
