"""The contract of LiteLLM's server, over ASGI, against a module that stands where LiteLLM would."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from chatvault.longtail.library import LiteLLM
from chatvault.longtail.server import Application
from tests.gateway.harness import until
from tests.longtail.fakes import (
    CHUNK,
    WHOLE,
    APIError,
    BadRequestError,
    Module,
    RateLimitError,
    ServiceUnavailableError,
    UnsupportedParamsError,
)

SECRET = "r8_secret_0123456789"
ASK: dict[str, Any] = {"model": "replicate/meta/llama-3-8b", "messages": [{"role": "user", "content": "x"}]}
CHAT = "/v1/chat/completions"


class Client:
    """One call. `leave` is set when the client goes."""

    def __init__(self, module: Module) -> None:
        self.app = Application(LiteLLM(module, (SECRET,)))
        self.leave = asyncio.Event()
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def ask(self, body: bytes | dict[str, Any], path: str = CHAT, method: str = "POST") -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        parts = [data[:5], data[5:]]

        async def receive() -> dict[str, Any]:
            if parts:
                return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}
            await self.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.status, self.headers = message["status"], dict(message["headers"])
            else:
                self.body += message["body"]

        await self.app({"type": "http", "method": method, "path": path}, receive, send)
        return json.loads(self.body) if self.headers.get(b"content-type") == b"application/json" else None

    def events(self) -> list[Any]:
        texts = self.body.decode().split("\n\n")
        assert texts.pop() == ""
        assert all(text.startswith("data: ") for text in texts)
        return [text[6:] if text == "data: [DONE]" else json.loads(text[6:]) for text in texts]


@pytest.fixture
def module() -> Module:
    return Module()


@pytest.fixture
def client(module: Module) -> Client:
    return Client(module)


async def test_a_whole_answer(module: Module, client: Client) -> None:
    answer = await client.ask({**ASK, "top_k": 3, "seed": 1})
    assert client.status == 200
    assert answer == {**WHOLE, "choices": [{"index": 0, "message": {"role": "assistant", "content": None}}]}
    assert module.asked == [{**ASK, "top_k": 3, "seed": 1, "num_retries": 0, "max_retries": 0}]


async def test_a_stream_always_tells_what_was_used(module: Module, client: Client) -> None:
    await client.ask({**ASK, "stream": True, "stream_options": {"include_usage": False}})
    assert client.headers[b"content-type"] == b"text/event-stream"
    assert client.events() == [CHUNK, CHUNK, CHUNK, "[DONE]"]
    assert module.asked[0]["stream_options"] == {"include_usage": True}


async def test_embeddings(module: Module, client: Client) -> None:
    assert await client.ask({"model": "m", "input": ["a"]}, "/v1/embeddings") == {
        "object": "list",
        "data": [],
    }
    assert module.asked[0]["input"] == ["a"]


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (RateLimitError("slow down", 429, "7"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (UnsupportedParamsError("no seed", 400), 400, "invalid_request_error", "unsupported_parameter"),
        (BadRequestError("no", 400), 400, "invalid_request_error", None),
        (ServiceUnavailableError("later", 503), 503, "upstream_error", None),
        (APIError("odd", 418), 418, "upstream_error", None),
        (APIError("odd", 200), 500, "upstream_error", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_have_the_status_of_their_type(
    module: Module, client: Client, error: APIError, status: int, kind: str, code: str | None, stream: bool
) -> None:
    module.raises = error
    told = (await client.ask({**ASK, "stream": stream}))["error"]
    assert client.status == status
    assert (told["type"], told["code"]) == (kind, code)
    assert told["message"] == error.message
    assert client.headers.get(b"retry-after") == (b"7" if status == 429 else None)


async def test_an_error_within_a_stream_is_its_last_event(module: Module, client: Client) -> None:
    module.raises, module.after = ServiceUnavailableError("gone", 503), 2
    await client.ask({**ASK, "stream": True})
    first, second, last = client.events()
    assert [first, second] == [CHUNK, CHUNK]
    assert last["error"]["message"].endswith("gone")


async def test_no_error_shows_a_key(module: Module, client: Client) -> None:
    module.raises = BadRequestError(f"bad key {SECRET}", 400)
    told = await client.ask(ASK)
    assert told["error"]["message"].endswith("bad key ***")


async def test_what_is_no_error_of_the_library_shows_nothing(
    module: Module, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    module.raises = ZeroDivisionError(SECRET)
    told = await client.ask(ASK)
    assert (client.status, told["error"]["code"]) == (500, "litellm_failed")
    assert SECRET.encode() not in client.body
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no", "no JSON object"),
        (b"[1]", "no JSON object"),
        ({**ASK, "api_base": "http://evil"}, "api_base"),
        ({**ASK, "api_key": "k"}, "api_key"),
        ({**ASK, "mock_response": "free"}, "mock_response"),
        ({**ASK, "metadata": {}}, "metadata"),
        ({**ASK, "extra_headers": {}}, "extra_headers"),
        ({**ASK, "model": "huggingface/https://evil/x"}, "name of LiteLLM's"),
        ({**ASK, "model": ""}, "name of LiteLLM's"),
        ({"messages": []}, "name of LiteLLM's"),
        ({**ASK, "tools": [{"type": "mcp", "server_url": "litellm_proxy"}]}, "type function"),
    ],
)
async def test_the_library_takes_no_orders_from_clients(
    module: Module, client: Client, body: bytes | dict[str, Any], said: str
) -> None:
    told = await client.ask(body)
    assert client.status == 400
    assert said in told["error"]["message"]
    assert module.asked == []


@pytest.mark.parametrize(("path", "method"), [("/v1/models", "POST"), (CHAT, "GET")])
async def test_there_is_nothing_else(client: Client, path: str, method: str) -> None:
    assert (await client.ask(ASK, path, method))["error"]["code"] == "unknown_url"
    assert client.status == 404


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_cancels_the_call(module: Module, client: Client, stream: bool) -> None:
    module.stalls = True
    asking = asyncio.get_running_loop().create_task(client.ask({**ASK, "stream": stream}))
    await until(lambda: module.asked and (client.body or not stream))
    client.leave.set()
    async with asyncio.timeout(2):
        await asyncio.wait([asking])
    assert module.cancelled == 1
    assert b"[DONE]" not in client.body
    asking.cancel()


async def test_a_client_that_leaves_before_its_body_is_there_asks_nothing(
    module: Module, client: Client
) -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError(message)

    await client.app({"type": "http", "method": "POST", "path": CHAT}, gone, send)
    assert module.asked == []
