"""Large requests, posted beside whatever is measured."""

import base64
import os
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

import msgspec

from tests.load.client import chat_head
from tests.load.stage import Stage

_APART: Final = 0.2
"""Seconds from one to the next."""
_PATIENCE: Final = 20.0


class LargeBodies:
    """Posts chat requests with an image of about `size` bytes in them, five a second, until it is left."""

    def __init__(self, stage: Stage, size: int) -> None:
        self._port = stage.port
        image = "data:image/png;base64," + base64.b64encode(os.urandom(size * 3 // 4)).decode()
        content = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": image}},
        ]
        messages = [{"role": "user", "content": content}]
        body = msgspec.json.encode({"model": "bench/stand-in", "messages": messages})
        self._request = chat_head(stage.port, stage.token, len(body)) + body
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._post_all)
        self.answered = 0
        self.bad = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_PATIENCE)

    def _post_all(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += _APART
            try:
                well = self._post().startswith(b"HTTP/1.1 200 ")
            except OSError:
                well = False
            self.answered += well
            self.bad += not well

    def _post(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self._port), _PATIENCE) as connection:
            connection.sendall(self._request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer
