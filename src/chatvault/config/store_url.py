"""Where a store of limits is, as its URL says it."""

from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

_SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix")
_FORM: Final = (
    "write redis://[user:password@]host[:port][/database], rediss://... for TLS, or unix:/path/to/socket"
)


class StorePlace(msgspec.Struct, frozen=True):
    """Either `path`, of a unix socket, or `host` and `port`. Never logged whole: `where` is what may be shown."""

    host: str = ""
    port: int = 6379
    path: str | None = None
    tls: bool = False
    user: str | None = None
    password: str | None = None
    database: int = 0

    @property
    def where(self) -> str:
        return f"unix:{self.path}" if self.path is not None else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"StorePlace({self.where!r}, ...)"  # not the password


def parse_store(url: str) -> StorePlace:
    """Raises ValueError, with what is wrong and no secret."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _SCHEMES:
        raise ValueError(_FORM)
    if scheme == "unix" and not rest.startswith("//"):
        rest = "//" + rest
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        port = parts.port or 6379
    except ValueError:
        raise ValueError(_FORM) from None
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    if parts.fragment or (parts.query and scheme != "unix"):
        raise ValueError(f"it has a query or a fragment; {_FORM}")
    if scheme == "unix":
        if not parts.path.startswith("/") or parts.hostname:
            raise ValueError(_FORM)
        database = _database(parts.query.removeprefix("db=")) if parts.query else 0
        return StorePlace(path=unquote(parts.path), user=user, password=password, database=database)
    if not parts.hostname:
        raise ValueError(_FORM)
    return StorePlace(
        host=parts.hostname,
        port=port,
        tls=scheme in ("rediss", "valkeys"),
        user=user,
        password=password,
        database=_database(parts.path.removeprefix("/")),
    )


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError("the database is a number, as in redis://localhost:6379/1")
    return int(text)
