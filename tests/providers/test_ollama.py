import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import monotonic

import pytest

from chatvault.providers.ollama import ollama_answers, ollama_url


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        (":5000", "http://127.0.0.1:5000"),
        ("gpu", "http://gpu:11434"),
        ('"gpu:5000"', "http://gpu:5000"),
        ("gpu:5000/", "http://gpu:5000"),
        ("http://gpu", "http://gpu:80"),
        ("https://gpu", "https://gpu:443"),
        ("https://gpu:5000/v1", "https://gpu:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::]", "http://127.0.0.1:11434"),
        ("::1", "http://[::1]:11434"),
    ],
)
def test_where_ollama_listens(said: str, url: str) -> None:
    assert ollama_url({"OLLAMA_HOST": said} if said else {}) == url


class _Ollama(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"version":"0.13.1"}' if self.path == "/api/version" else b"no"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests are silent."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Ollama) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join(5)


def test_one_that_answers(server: str) -> None:
    assert ollama_answers(server)


def test_nobody_is_there(free_port: int) -> None:
    assert not ollama_answers(f"http://127.0.0.1:{free_port}")


@pytest.mark.parametrize("host", ["http://127.0.0.1:x", "http://[::1", "http://a\udc80b:1"])
def test_what_is_no_address_is_nobody(host: str) -> None:
    assert not ollama_answers(host)


def test_a_silent_one_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = monotonic()
        assert not ollama_answers(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1)
        assert monotonic() - began < 0.3


def test_another_server_is_no_ollama() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert not ollama_answers(f"http://127.0.0.1:{other.getsockname()[1]}")
        thread.join(5)
