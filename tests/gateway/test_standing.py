"""What is decided once and kept: the same call again is decided as the first, and otherwise as soon as anything that
it was decided by has changed."""

from pathlib import Path
from typing import Any

from chatvault.config.schema import ModelConfig
from tests.fake.raw import Heard
from tests.gateway.harness import CHAT, Gate, converse, gateway, snapshot_of

MESSAGES = [{"role": "user", "content": "Hello there"}]


def chat(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": MESSAGES} | more


async def ask(gate: Gate, line: tuple[Any, Any], body: dict[str, object], **fields: Any) -> Heard:
    return await converse(*line, gate.post(body, CHAT, **fields))


async def test_a_head_that_comes_again_goes_where_the_configuration_now_says(tmp_path: Path) -> None:
    async with gateway(tmp_path, names=("fake", "other")) as gate:
        line = await gate.open()
        for _ in range(2):
            assert (await ask(gate, line, chat("public"))).status == 200
        models = {"public": ModelConfig(provider="other", model="echo")}
        gate.worker.configure(snapshot_of(gate.fakes, version=2, models=models))
        for _ in range(2):
            assert (await ask(gate, line, chat("public"))).status == 200
        await gate.settled(4)
        closed = (await gate.records()).closed
    assert [(line.provider, line.target) for line in closed] == [
        ("fake", "simulated"),
        ("fake", "simulated"),
        ("other", "echo"),
        ("other", "echo"),
    ]


async def test_bodies_of_any_length_and_model_follow_under_one_head(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        line = await gate.open()
        bodies = [
            chat("public"),
            chat("fake/echo", stream=True),
            chat("public", max_tokens=5),
            chat("fake/echo"),
        ]
        for body in bodies:
            assert (await ask(gate, line, body)).status == 200
        assert (await ask(gate, line, chat("fake/no-such-model"))).status == 404
        assert (await ask(gate, line, chat("public"))).status == 200
        await gate.settled(6)
        closed = (await gate.records()).closed
    assert [line.model for line in closed][:4] == ["public", "fake/echo", "public", "fake/echo"]
    assert [line.stream for line in closed][:4] == [False, True, False, False]
    assert len({line.id for line in closed}) == len(closed)


async def test_a_token_is_held_to_its_bounds_however_often_it_asks(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        narrow = gate.control.token(models=("fake/*",), endpoints=("chat.completions",))
        line = await gate.open()
        for _ in range(2):
            assert (await ask(gate, line, chat("fake/echo"), token=narrow)).status == 200
            assert (await ask(gate, line, chat("public"), token=narrow)).status == 403
        for _ in range(2):
            embeddings = gate.post({"model": "fake/echo", "input": "x"}, "/v1/embeddings", token=narrow)
            assert (await gate.send(embeddings)).status == 403


async def test_another_token_under_the_same_head_is_another_grant(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        line, second = await gate.open(), gate.control.token()
        for token in (gate.token, second, gate.token):
            assert (await ask(gate, line, chat("public"), token=token)).status == 200
        await gate.settled(3)
        closed = (await gate.records()).closed
    assert closed[0].token == closed[2].token != closed[1].token
