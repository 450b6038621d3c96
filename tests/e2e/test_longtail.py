"""LiteLLM's process in a whole gateway: with a module that stands where LiteLLM would, and with the real one."""

import importlib.util
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.fake import FakeProvider
from tests.e2e.conftest import Begin, configured
from tests.e2e.gateway import Gateway, chat, eventually, eventually_async
from tests.e2e.streams import Stream

FOLDER = Path(__file__).parents[1] / "longtail"
KEY = "tail-key-0123456789abcdef"


def with_tail(provider: FakeProvider, **env: str) -> str:
    lines = [f"  tail:\n    kind: litellm\n    env: {json.dumps(env)}\n"]
    return configured(provider).replace(
        "prices:", "".join(lines) + "prices:\n  tail/*: {input: 2, output: 3}"
    )


async def started(home: Path, config: str, stand_in: str | None) -> Gateway:
    home.mkdir(exist_ok=True)
    env = {"SECRET_OF_OURS": "x"} | ({"PYTHONPATH": str(FOLDER / stand_in)} if stand_in else {})
    return Gateway(home, config=config, env=env)


@pytest.fixture
async def gateway(provider: FakeProvider, tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = await started(tmp_path, with_tail(provider, TAIL_KEY=KEY), "stand_in")
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.end()


async def ask(gateway: Gateway, model: str = "tail/other/one/x") -> tuple[int, dict[str, object]]:
    async with gateway.client() as client:
        answer = await client.post("/chat/completions", json=chat(model))
    return answer.status_code, answer.json()


async def test_it_answers_with_its_own_variables_and_no_others(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answer = await client.post("/chat/completions", json=chat("tail/other/one/x"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "other/one/x"
        # Its key, nothing secret of the gateway's, and parameters are not dropped.
        assert answer.json()["choices"][0]["message"]["content"] == f"{KEY} [] False"
        vectors = await client.post("/embeddings", json={"model": "tail/other/e", "input": ["a", "b"]})
        assert len(vectors.json()["data"]) == 2
        failed = await client.post("/chat/completions", json=chat("tail/other/fail"))
        assert (failed.status_code, failed.json()["error"]["type"]) == (500, "upstream_error")
        refused = await client.post("/chat/completions", json=chat("tail/other/x", api_base="http://evil"))
        assert refused.status_code == 400
        assert "api_base" in refused.json()["error"]["message"]
    family = gateway.family()
    for name in ("worker0", "control", "recorder"):
        assert KEY.encode() not in Path(f"/proc/{family[name]}/environ").read_bytes()
    rows = await gateway.level()
    assert [row["state"] for row in rows] == ["completed", "completed", "upstream_error", "upstream_error"]
    assert (rows[0]["input_tokens"], rows[0]["output_tokens"]) == (5, 2)
    assert KEY not in gateway.said("err") + gateway.said("out")


async def test_a_stream_passes_and_its_usage_is_on_record(gateway: Gateway) -> None:
    stream = await Stream.begin(gateway, "tail/other/one")
    assert len(await stream.rest()) > 1
    (row,) = await gateway.level()
    assert (row["state"], row["input_tokens"], row["output_tokens"]) == ("completed", 5, 2)


async def test_it_is_killed_and_comes_back(gateway: Gateway) -> None:
    """What was under way is on record as broken; calls until it is back are the provider's failure; nothing else is
    touched."""
    stream = await Stream.begin(gateway, "tail/other/stall")
    first = gateway.family()["litellm"]
    os.kill(first, signal.SIGSTOP)
    os.kill(first, signal.SIGKILL)
    broken = await stream.rest()
    assert broken[-1] != "[DONE]"
    assert "error" in broken[-1]
    seen: list[int] = []

    async def answers() -> bool:
        status, _ = await ask(gateway)
        seen.append(status)
        return status == 200

    await eventually_async(answers, 15)
    assert set(seen) <= {200, 502}
    assert await gateway.member("litellm", but=first) != first
    rows = await gateway.level()
    assert rows[0]["state"] in ("upstream_cut", "upstream_error")
    assert {row["state"] for row in rows[1:-1]} <= {"upstream_error"}
    assert rows[-1]["state"] == "completed"
    await gateway.verify()


async def test_a_client_that_leaves_and_a_gateway_that_dies_leave_nothing_behind(gateway: Gateway) -> None:
    async with (
        gateway.client() as client,
        client.stream("POST", "/chat/completions", json=chat("tail/other/stall", stream=True)) as answer,
    ):
        assert answer.status_code == 200
    (row,) = await gateway.level()
    assert row["state"] == "client_gone"
    await gateway.crash()
    assert gateway.family() == {}


async def test_where_it_is_not_installed_serve_says_what_to_do(
    provider: FakeProvider, tmp_path: Path
) -> None:
    gateway = await started(tmp_path, with_tail(provider, TAIL_KEY=KEY), "absent")
    try:
        await gateway.spawn()
        assert await gateway.wait() != 0
    finally:
        await gateway.end()
    assert "make litellm" in gateway.said("err") + gateway.said("out")
    assert KEY not in gateway.said("err")


async def test_it_does_not_run_where_nobody_wants_it(begin: Begin) -> None:
    gateway = await begin()
    assert "litellm" not in gateway.family()


@pytest.mark.litellm
@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="needs `make litellm`")
async def test_the_real_one(provider: FakeProvider, tmp_path: Path) -> None:
    """LiteLLM asks the simulated provider as OpenAI: once a call, and not at all for a client that has left."""
    config = with_tail(provider, OPENAI_API_KEY=KEY, OPENAI_API_BASE=provider.base_url)
    gateway = await started(tmp_path, config, None)
    try:
        await gateway.start(within=60)  # it takes long to import
        status, whole = await ask(gateway, "tail/openai/echo")
        assert (status, whole["model"]) == (200, "echo")
        stream = await Stream.begin(gateway, "tail/openai/echo")
        *_, finished, done = await stream.rest()
        assert done == "[DONE]"
        assert finished["choices"][0]["finish_reason"] == "stop"
        async with gateway.client() as client:
            for model, said, code in (
                ("tail/openai/fail-429-retry-after-7", 429, "rate_limit_exceeded"),
                ("tail/openai/fail-503", 503, None),
                ("tail/openai/no-such-model", 404, "model_not_found"),
                ("tail/nobody/x", 400, None),
            ):
                answer = await client.post("/chat/completions", json=chat(model))
                assert (answer.status_code, answer.json()["error"]["code"]) == (said, code), answer.text
                assert answer.headers.get("retry-after") == ("7" if said == 429 else None)
            body = {"model": "tail/openai/text-embedding-3-small", "input": ["a", "b"], "dimensions": 4}
            vectors = await client.post("/embeddings", json=body)
            assert [len(each["embedding"]) for each in vectors.json()["data"]] == [4, 4]
        cut = await Stream.begin(gateway, "tail/openai/cut-after-3")
        assert "error" in (await cut.rest())[-1]
        asked = provider.stats.requests
        left = await Stream.begin(gateway, "tail/openai/pace-50ms+events-400")
        await left.leave()
        await eventually(lambda: provider.stats.aborted, 5)
        rows = await gateway.level()
    finally:
        await gateway.end()
    assert asked == 7  # nothing is tried twice
    states = [row["state"] for row in rows]
    assert states[:2] == ["completed", "completed"]
    assert rows[0]["output_tokens"] == rows[1]["output_tokens"] == 1
    assert states[2:6] == ["upstream_error"] * 4
    assert states[6:] == ["completed", "error_in_band", "client_gone"]
    assert KEY not in gateway.said("err")
