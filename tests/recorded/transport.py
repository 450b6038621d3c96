"""What stands in for a server: it answers every request of a client library with the bytes it is given."""

import httpx  # noqa: TID251  (what Ollama's library stands on)
import httpx2


class Canned:
    """The answer to come. `new` is a transport for libraries on httpx2, `old` one for those on httpx."""

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
