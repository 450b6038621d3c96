"""Thousands of calls at once over connections that live on, each with words of its own: whole, streamed, pipelined,
cut short by the client, cut short by the provider, refused. Nobody ever gets another's bytes, and every call is on
record as what its client saw.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.fake.raw import Heard
from tests.gateway.harness import Gate, gateway
from tests.gateway.records import Records
from tests.gateway.shapes import ALL, Shape

FAULTS = (
    "",
    "",
    "",
    "+split-64",
    "+chunk-9",
    "+slow-first-byte-3ms",
    "+close-reused",
    "+connection-close",
    "+gzip",
    "+crlf",
)


class Line:
    """One connection of a client, made again whenever it has ended."""

    def __init__(self, gate: Gate, dice: random.Random) -> None:
        self.gate = gate
        self.dice = dice
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def write(self, data: bytes) -> asyncio.StreamReader:
        if self._streams is None or self._streams[0].at_eof() or self._streams[1].is_closing():
            self._streams = await asyncio.open_connection("127.0.0.1", self.gate.port)
        self._streams[1].write(data)
        return self._streams[0]

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def answer(self, reader: asyncio.StreamReader) -> Heard:
        """Exactly one answer; what follows it stays unread."""
        heard = Heard()
        head = await reader.readuntil(b"\r\n\r\n")
        heard.packets.append((0.0, head))
        if "content-length" in heard.headers:
            heard.packets.append((0.0, await reader.readexactly(int(heard.headers["content-length"]))))
            return heard
        while True:
            size = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(size, 16) + 2)
            heard.packets.append((0.0, size + chunk))
            if size == b"0\r\n":
                return heard


class Storm:
    def __init__(self, gate: Gate, seed: int) -> None:
        self.gate = gate
        self.seed = seed
        self.number = 0
        self.seen: dict[str, str] = {}
        """By call: the state its record must have."""

    def body(self, shape: Shape, fault: str) -> tuple[bytes, str]:
        """A request, and the words that only its answer may hold."""
        self.number += 1
        words = f"call-{self.number}-of-{self.seed}-"
        body = shape.body("fake/echo" + fault)
        for name in ("prompt", "input"):
            if name in body:
                body[name] = words
        if "messages" in body:
            body["messages"] = [{"role": "user", "content": words}]
        return self.gate.post(body, shape.path), words

    def check(self, heard: Heard, shape: Shape, words: str) -> None:
        assert heard.status == 200, heard.data[:500]
        if shape.endpoint != "embeddings":
            text = said(heard, shape)
            assert text == words, (str(shape), heard.data)
        if shape.stream:
            assert shape.ends in heard.events[-1]
        call = heard.headers["x-request-id"]
        assert call not in self.seen
        self.seen[call] = "completed"

    async def one(self, line: Line) -> None:
        shape = line.dice.choice(ALL)
        request, words = self.body(shape, line.dice.choice(FAULTS))
        self.check(await line.answer(await line.write(request)), shape, words)

    async def pipelined(self, line: Line) -> None:
        asked = [
            (shape := line.dice.choice(ALL), *self.body(shape, "")) for _ in range(line.dice.randint(2, 6))
        ]
        reader = await line.write(b"".join(request for _, request, _ in asked))
        for shape, _, words in asked:
            self.check(await line.answer(reader), shape, words)

    async def left(self, line: Line) -> None:
        """The client leaves at some moment: before, within or after its answer."""
        shape = line.dice.choice(ALL)
        request, _ = self.body(shape, line.dice.choice(("+slow-first-byte-20ms", "+pace-2ms", "")))
        cut = line.dice.choice((None, None, line.dice.randrange(1, len(request))))
        reader = await line.write(request[:cut])
        if line.dice.random() < 0.5:
            try:
                await asyncio.wait_for(reader.read(1), line.dice.random() * 0.02)
            except TimeoutError:
                pass
        line.leave()

    async def broken(self, line: Line) -> None:
        """The provider breaks off."""
        shape = line.dice.choice(ALL)
        request, _ = self.body(shape, "+cut-after-2")
        reader = await line.write(request)
        try:
            heard = await line.answer(reader)
            assert not shape.stream
            assert heard.status == 502
            self.seen[heard.headers["x-request-id"]] = "upstream_cut"
        except asyncio.IncompleteReadError:
            assert shape.stream
            line.leave()

    async def refused(self, line: Line) -> None:
        shape = line.dice.choice(ALL)
        bad = self.gate.post({**shape.body("fake/echo"), "model": 7}, shape.path)
        heard = await line.answer(await line.write(bad))
        assert heard.status == 400

    async def wait(self, line: Line, rounds: int) -> None:
        acts: list[tuple[Callable[[Line], Awaitable[None]], int]] = [
            (self.one, 60), (self.pipelined, 12), (self.left, 15), (self.broken, 6), (self.refused, 5),
        ]  # fmt: skip
        for _ in range(rounds):
            (act,) = line.dice.choices([act for act, _ in acts], [weight for _, weight in acts])
            async with asyncio.timeout(20):
                await act(line)
        line.leave()


def said(heard: Heard, shape: Shape) -> str:
    """The words of an answer, whatever its shape."""
    if not shape.stream:
        value = heard.json
        if shape.endpoint == "responses":
            return str(value["output"][0]["content"][0]["text"])  # type: ignore[index]
        choice = value["choices"][0]  # type: ignore[index]
        return str(choice["text"] if shape.endpoint == "completions" else choice["message"]["content"])
    text = ""
    for event in heard.body.decode().replace("\r\n", "\n").split("\n\n"):
        data = event.split("data: ", 1)[-1]
        if not data.startswith("{"):
            continue
        value = msgspec.json.decode(data)
        if value.get("type") == "response.output_text.delta":
            text += value["delta"]
        for choice in value.get("choices", ()):
            text += choice.get("text") or choice.get("delta", {}).get("content") or ""
    return text


async def storm(tmp_path: Path, seed: int, lines: int, rounds: int) -> None:
    async with gateway(tmp_path) as gate:
        fury = Storm(gate, seed)
        async with asyncio.TaskGroup() as group:
            for index in range(lines):
                group.create_task(fury.wait(Line(gate, random.Random(seed * 1000 + index)), rounds))
        await gate.settled()
        assert gate.worker.held == 0
        upstream = gate.fake.stats.seen  # type: ignore[attr-defined]
    records = await asyncio.to_thread(Records, gate.journal)
    by_id = {record.id: record for record in records.closed}
    assert len(by_id) == len(records.opened)
    assert {call for call, _ in upstream} <= set(by_id)
    for call, state in fury.seen.items():
        assert by_id[call].state == state
        if state == "completed":
            assert by_id[call].cost is not None
    others = {record.state for call, record in by_id.items() if call not in fury.seen}
    assert others <= {"client_gone", "upstream_cut", "completed"}
    retried = [record for record in records.closed if record.attempts == 2]
    assert len(retried) == len(records.attempted)
    assert len(fury.seen) > lines * rounds // 2


@pytest.mark.both_loops
async def test_a_storm_of_calls(tmp_path: Path) -> None:
    await storm(tmp_path, 1, lines=40, rounds=60)


@pytest.mark.prove
@pytest.mark.both_loops
@pytest.mark.parametrize("seed", range(2, 7))
async def test_many_storms_of_calls(tmp_path: Path, seed: int) -> None:
    await storm(tmp_path, seed, lines=100, rounds=200)
