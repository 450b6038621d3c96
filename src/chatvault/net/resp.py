"""What Valkey and Redis reply. Sans-IO; the parser is an extra's."""

from typing import Any, Final

from chatvault.core.errors import OperatorError

try:
    from hiredis import HiredisError, ReplyError
    from hiredis import Reader as _Reader
except ImportError:
    raise OperatorError(
        "limits.store needs a parser that is not installed. Install it with: pip install 'chatvault[redis]'",
        code="redis_not_installed",
    ) from None

NOTHING: Final = object()


class Refused(Exception):
    """The store's answer is an error. `code` is its first word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Replies:
    """Bytes in, replies out: integers, bytes, lists, None, and `Refused` for errors."""

    def __init__(self) -> None:
        self._reader = _Reader(notEnoughData=NOTHING)

    def feed(self, data: bytes) -> list[Any]:
        """Those that are whole now. Raises ValueError for what is none."""
        found: list[Any] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not NOTHING:
                found.append(Refused(str(reply)) if isinstance(reply, ReplyError) else reply)
        except HiredisError as error:
            raise ValueError(str(error)) from error
        return found
