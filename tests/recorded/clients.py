"""The official client library of each dialect, as one of these."""

from typing import Any, Protocol

from tests.recorded.heard import Heard


class Refused(Exception):
    """An error as the library raises it. `code` is None where the dialect tells none."""

    def __init__(self, status: int | None, message: str, kind: str | None, code: str | None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code = status, message, kind, code


class Client(Protocol):
    def whole(self, body: bytes, status: int = 200) -> Heard:
        """Raises what the library raises for what is not its dialect, and Refused for an error."""

    def stream(self, body: bytes) -> Heard: ...

    def check(self, request: dict[str, Any]) -> None:
        """Raises ValidationError for a request that is not of the library's types."""


def consume(value: Any) -> None:
    """Pydantic judges the items of an Iterable as they are taken."""
    if isinstance(value, dict):
        for each in value.values():
            consume(each)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for each in value:
            consume(each)
