"""What a client library talks to: bytes that it is given, or a gateway that runs."""

from typing import Protocol

import httpx  # noqa: TID251  (what Ollama's library stands on)
import httpx2


class Transport(Protocol):
    """`new` is the transport for libraries on httpx2, `old` the one for those on httpx."""

    base_url: str
    key: str

    @property
    def new(self) -> httpx2.BaseTransport: ...

    @property
    def old(self) -> httpx.BaseTransport: ...

    def answers(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        """The answer to come, where it is not the gateway's."""


class Canned:
    """It answers every request with the bytes it is given."""

    base_url = "http://test"
    key = "k"

    def __init__(self) -> None:
        self._status, self._type, self._body = 200, "application/json", b""
        self.new = httpx2.MockTransport(
            lambda request: httpx2.Response(
                self._status, headers={"content-type": self._type}, content=self._body
            )
        )
        self.old = httpx.MockTransport(
            lambda request: httpx.Response(
                self._status, headers={"content-type": self._type}, content=self._body
            )
        )

    def answers(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        self._status, self._type, self._body = status, kind, body


class Live:
    """A gateway on loopback. What it answers is the provider's business."""

    def __init__(self, port: int, token: str) -> None:
        self.base_url, self.key = f"http://127.0.0.1:{port}", token
        self.new, self.old = httpx2.HTTPTransport(), httpx.HTTPTransport()

    def answers(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
        assert not body

    def close(self) -> None:
        self.new.close()
        self.old.close()
