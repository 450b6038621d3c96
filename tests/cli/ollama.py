"""As much of an Ollama as the demo needs, with any answer that a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 21, "completion_tokens": 2, "total_tokens": 23}


def _handler(models: list[str], words: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/api/version":
                self._json({"version": "0.13.0"})
            else:
                self._json({"object": "list", "data": [{"id": name, "object": "model"} for name in models]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            head = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
            if asked.get("stream"):
                self._events(head)
                return
            message = {"role": "assistant", "content": "".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._json({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})

        def _events(self, head: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            whole = {**head, "object": "chat.completion.chunk"}
            for word in words:
                choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                self._event({**whole, "choices": [choice]})
            self._event({**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self._event({**whole, "choices": [], "usage": USAGE})
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def _event(self, value: object) -> None:
            self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

        def _json(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    return Handler


@contextmanager
def ollama(models: list[str], words: list[str]) -> Iterator[str]:
    """Where it listens, as OLLAMA_HOST has it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(models, words))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
