"""The shell's client: what it says when there is no gateway, or a strange one."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chatvault.config.runtime import ADMIN_SOCKET, runtime_dir
from chatvault.core.errors import OperatorError
from chatvault.sdk.control import ControlClient, Refusal


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with TemporaryDirectory(prefix="cv") as folder:
        yield {"XDG_RUNTIME_DIR": folder}


@contextmanager
def answering(data: Path, environ: dict[str, str], answer: bytes) -> Iterator[list[bytes]]:
    """A gateway that gives one answer; what it was asked is in the list."""
    asked: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(runtime_dir(data, environ) / ADMIN_SOCKET))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(_whole(connection))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join(5)
        listener.close()


def _whole(connection: socket.socket) -> bytes:
    """One request, with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while found is not None and len(body) < int(found[1]):
        more = connection.recv(65536)
        data += more
        body += more
    return data


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def test_an_answer_is_decoded(tmp_path: Path, environ: dict[str, str]) -> None:
    with answering(tmp_path, environ, http("201 Created", b'{"token_id": "tok_1"}')) as asked:
        answer = ControlClient(tmp_path, environ).request("POST", "/manage/tokens", {"name": "n"})
    assert answer == {"token_id": "tok_1"}
    assert asked[0].startswith(b"POST /manage/tokens HTTP/1.1\r\n")
    assert asked[0].endswith(b'\r\n\r\n{"name":"n"}')
    assert b"content-type: application/json" in asked[0]
    assert b"authorization" not in asked[0].lower()


def test_an_empty_answer_is_none(tmp_path: Path, environ: dict[str, str]) -> None:
    with answering(tmp_path, environ, b"HTTP/1.1 204 No Content\r\n\r\n"):
        assert ControlClient(tmp_path, environ).request("DELETE", "/manage/tokens/tok_1") is None


def test_a_refusal_keeps_what_it_said(tmp_path: Path, environ: dict[str, str]) -> None:
    body = b'{"error": {"message": "No name.", "type": "x", "code": "invalid_request", "param": "name"}}'
    with answering(tmp_path, environ, http("400 Bad Request", body)), pytest.raises(Refusal) as raised:
        ControlClient(tmp_path, environ).request("POST", "/manage/tokens", {})
    error = raised.value
    assert (error.http_status, error.code, error.param, error.message) == (
        400,
        "invalid_request",
        "name",
        "No name.",
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_a_strange_refusal_is_still_one(tmp_path: Path, environ: dict[str, str], body: bytes) -> None:
    with (
        answering(tmp_path, environ, http("502 Bad Gateway", body)),
        pytest.raises(Refusal, match="status 502"),
    ):
        ControlClient(tmp_path, environ).request("GET", "/usage")


def test_without_a_gateway_it_says_how_to_start_one(tmp_path: Path, environ: dict[str, str]) -> None:
    client = ControlClient(tmp_path, environ)
    with pytest.raises(OperatorError, match="chatvault serve --data-dir") as raised:
        client.request("GET", "/health")
    assert raised.value.code == "not_running"
    left = socket.socket(socket.AF_UNIX)  # a life that was killed leaves its socket behind
    left.bind(str(runtime_dir(tmp_path, environ) / ADMIN_SOCKET))
    left.close()
    with pytest.raises(OperatorError, match="No gateway runs"):
        client.request("GET", "/health")


def test_the_place_is_known_without_an_environment(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No gateway runs"):
        ControlClient(tmp_path / "nothing").request("GET", "/health")


def test_a_gateway_that_dies_while_it_answers(tmp_path: Path, environ: dict[str, str]) -> None:
    with (
        answering(tmp_path, environ, b""),
        pytest.raises(OperatorError, match="try again in a moment"),
    ):
        ControlClient(tmp_path, environ).request("GET", "/health")


def test_a_folder_that_others_may_enter_is_not_believed(tmp_path: Path, environ: dict[str, str]) -> None:
    runtime_dir(tmp_path, environ).chmod(0o755)
    with pytest.raises(OperatorError, match="nothing in it is believed"):
        ControlClient(tmp_path, environ).request("GET", "/health")
