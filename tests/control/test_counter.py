"""Calls that were estimated are counted by what is kept of them, on record, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.lines import Counted
from chatvault.audit.reader import ChainReader
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.config.snapshot import ProviderSnapshot, Snapshot
from chatvault.control.counter import Counter
from chatvault.core.errors import OperatorError
from chatvault.core.ids import new_id
from chatvault.core.usage import Usage
from chatvault.pricing.book import PriceBook
from tests.recorder.journals import closed, opened

AUDIT = AuditConfig(reserve=0, bodies="full")
FAKE = ProviderSnapshot(name="fake", kind="fake", base_url="http://127.0.0.1:9/v1")
SNAPSHOT = Snapshot(
    version=1, audit=AUDIT, providers={"fake": FAKE}, prices={"fake/*": {"input": 2, "output": 10}}
)
PRICE = PriceBook(SNAPSHOT.prices).price(None, "gpt-4o", "fake", 0)
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say three words."}]}
SAID = msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": "One two three"}}]})


class Words:
    """Counts words."""

    def name(self, vocabulary: str) -> str:
        return f"words 1 {vocabulary}"

    def count(self, vocabulary: str, texts: list[str]) -> int:
        return sum(len(text.split()) for text in texts)


def call(
    writer: ChainWriter, asked: bytes = msgspec.json.encode(ASKED), said: bytes | None = SAID, **changes: Any
) -> str:
    """A call that was closed with an estimate, its bodies kept."""
    assert PRICE is not None
    id = new_id()
    line = opened(1, id)
    kept = {
        "request": asked.decode(),
        "request_size": changes.pop("request_size", len(asked)),
        "metadata": {},
    }
    line.private = writer.private(id, "request", kept)
    writer.append(line)
    values: dict[str, Any] = {
        "usage": Usage(input=90, output=90), "usage_source": "estimated", "cost": 999, "cost_source": "estimated",
        "target": "gpt-4o", "price": PRICE.version, "bytes_out": len(said or b""),
    }  # fmt: skip
    end = closed(1, id, **values | changes)
    end.private = writer.private(
        id, "call", {"response": said.decode()} if said is not None else {"error": "x"}
    )
    writer.append(end)
    return id


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[JournalKeeper]:
    keeper = await JournalKeeper.open(tmp_path, AUDIT, version="test")
    yield keeper
    await keeper.close()


@pytest.fixture
def writer(tmp_path: Path) -> ChainWriter:
    return ChainWriter.open(tmp_path / "journal", "worker0", AUDIT, version="test")


async def counted(counter: Counter) -> list[Counted]:
    return await asyncio.to_thread(counter.look, SNAPSHOT)


async def test_a_call_is_counted_once_and_priced(keeper: JournalKeeper, writer: ChainWriter) -> None:
    counter = Counter(keeper, lambda: SNAPSHOT, Words)
    id = call(writer)
    (line,) = await counted(counter)
    around = 4 + 4  # of any request, and of a message, to OpenAI's models
    assert (line.id, line.usage, line.tokenizer) == (
        id,
        Usage(input=3 + around, output=3),
        "words 1 o200k_base",
    )
    assert (line.cost, line.cost_source) == (2 * (3 + around) + 10 * 3, "counted")
    assert await counted(counter) == []
    call(writer)
    assert len(await counted(counter)) == 1


async def test_a_stream_is_counted_by_its_events(keeper: JournalKeeper, writer: ChainWriter) -> None:
    events = b"".join(
        b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text for text in (b"One", b" tw", b"o")
    )
    call(writer, said=events)
    call(writer, said=b"", state="client_gone")
    found = await counted(Counter(keeper, lambda: SNAPSHOT, Words))
    assert [line.usage.output for line in found] == [2, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"usage_source": "provider"}, {"target": "claude-sonnet-4-5"}, {"target": "some-model"}, {"said": None, "bytes_out": 5},
        {"request_size": 10**6}, {"bytes_out": 10**6}, {"asked": b"no JSON"},
        {"asked": msgspec.json.encode(ASKED | {"messages": [{"content": "the key [redacted]"}]})},
        {"asked": msgspec.json.encode(ASKED | {"messages": [{"content": [{"image_url": {"url": "data:x"}}]}]})},
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_counted_stays_estimated(
    keeper: JournalKeeper, writer: ChainWriter, changes: dict[str, Any]
) -> None:
    call(writer, **changes)
    assert await counted(Counter(keeper, lambda: SNAPSHOT, Words)) == []


@pytest.mark.parametrize(
    ("changes", "cost", "source"),
    [
        ({"price": "p_other"}, None, "unknown"),
        ({"price": None}, None, "unknown"),
        ({"provider": "gone"}, None, "unknown"),
        ({"cost": 0, "cost_source": "free"}, 0, "free"),
        ({"cost": 7, "cost_source": "provider"}, 7, "provider"),
    ],
)
async def test_costs_that_do_not_hang_on_the_count(
    keeper: JournalKeeper, writer: ChainWriter, changes: dict[str, Any], cost: int | None, source: str
) -> None:
    call(writer, **changes)
    (line,) = await counted(Counter(keeper, lambda: SNAPSHOT, Words))
    assert (line.cost, line.cost_source) == (cost, source)


async def test_erased_bodies_are_not_counted(
    keeper: JournalKeeper, writer: ChainWriter, tmp_path: Path
) -> None:
    call(writer)
    for file in (tmp_path / "private").rglob("*.jsonl"):
        file.write_bytes(b" " * file.stat().st_size)
    assert await counted(Counter(keeper, lambda: SNAPSHOT, Words)) == []


async def until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_it_runs_and_puts_its_counts_on_record(keeper: JournalKeeper, writer: ChainWriter) -> None:
    before = call(writer)
    counter = Counter(keeper, lambda: SNAPSHOT, Words, every=0.01)
    running = asyncio.create_task(counter.run())

    def found() -> list[Counted]:
        with ChainReader(keeper.writer.folder, keeper.writer.chain) as reader:
            return [line for line, *_ in reader if isinstance(line, Counted)]

    await until(lambda: counter._readers)
    after = call(writer)
    seen: list[Counted] = []
    async with asyncio.timeout(10):
        while not seen:
            await asyncio.sleep(0.02)
            seen = await asyncio.to_thread(found)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [line.id for line in seen] == [after], f"{before} was closed before control came"


async def test_it_rests_where_no_bodies_are_kept_and_ends_without_tokenizers(keeper: JournalKeeper) -> None:
    asked = 0

    def none() -> Words:
        nonlocal asked
        asked += 1
        raise OperatorError("none", code="tokenizers_missing")

    snapshot = msgspec.structs.replace(SNAPSHOT, audit=AuditConfig())
    counter = Counter(keeper, lambda: snapshot, none, every=0.01)
    running = asyncio.create_task(counter.run())
    await asyncio.sleep(0.1)
    assert (asked, running.done()) == (0, False)
    snapshot = SNAPSHOT
    await asyncio.wait_for(running, 10)
    assert asked == 1


async def test_only_so_many_open_calls_are_remembered(
    keeper: JournalKeeper, writer: ChainWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.control.counter._MOST_OPEN", 2)
    for _ in range(3):
        line = opened(1, new_id())
        line.private = writer.private(line.id, "request", {"request": "{}", "request_size": 2})
        writer.append(line)
    counter = Counter(keeper, lambda: SNAPSHOT, Words)
    assert await counted(counter) == []
    assert len(counter._open) == 2
