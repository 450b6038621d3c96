"""Recorded exchanges through one running gateway, one behind the other, counted file by file."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from chatvault.config.snapshot import Face, ProviderSnapshot
from tests.gateway.harness import KEY, RATES, TIMEOUTS, Gate, gateway
from tests.net.peers import provider
from tests.recorded.asking import Asking
from tests.recorded.exchanges import Exchange, digest, of_file, sample
from tests.recorded.passing import ACCOUNT, Seen, asked, is_served, judge, judge_record
from tests.recorded.provider_says import Says, says
from tests.recorded.stand_in import StandIn, Way, packets


class Count(msgspec.Struct):
    """`skipped`: asked for at paths that the gateway does not serve. `why`: ids of exchanges by what was wrong."""

    skipped: int = 0
    passed: int = 0
    why: dict[str, list[str]] = {}

    @property
    def failed(self) -> int:
        return sum(len(ids) for ids in self.why.values())

    def add(self, exchange: Exchange, wrong: list[str]) -> None:
        if wrong:
            self.why.setdefault("; ".join(wrong), []).append(exchange.id)
        else:
            self.passed += 1


class Stage(msgspec.Struct):
    gate: Gate
    there: StandIn
    account: str
    """A token for the endpoints that must be named."""


@asynccontextmanager
async def stage(tmp_path: Path, *dialects: str) -> AsyncIterator[Stage]:
    """A gateway whose only provider is the stand-in, which speaks these dialects, or all."""
    there = StandIn()
    async with (
        provider(there.serve) as at,
        gateway(
            tmp_path,
            providers={"recorded": recorded(at.port, *dialects)},
            default_provider="recorded",
            prices={"recorded/*": RATES},
        ) as gate,
    ):
        yield Stage(gate, there, gate.control.token(endpoints=ACCOUNT))


def recorded(port: int, *dialects: str) -> ProviderSnapshot:
    """The stand-in as a provider: with a face for each family of dialects, or for that of the `dialects` it speaks."""
    root, signed = f"http://127.0.0.1:{port}", {"x-api-key": KEY}
    paths = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}
    spoken = {dialect.partition(".")[0] for dialect in dialects} or paths.keys()
    faces = {family: Face(root + paths[family], signed) for family in spoken}
    first = next(iter(faces.values()))
    return ProviderSnapshot(
        name="recorded",
        kind="openai-compatible",
        base_url=first.base_url,
        headers=signed,
        faces=faces,
        dialects=dialects,
        timeouts=TIMEOUTS,
    )


def itself(exchange: Exchange) -> Exchange:
    return exchange


async def run(
    stage: Stage,
    file: str,
    exchanges: list[Exchange],
    way: Way,
    serves: Callable[[Exchange], Exchange] = itself,
) -> Count:
    """Every exchange as a call of its own, one behind the other; then their records are judged. `serves`: what the
    provider answers in place of an exchange."""
    found: list[tuple[Exchange, Says, str, list[str]]] = []
    there, count = stage.there, Count()
    served = [exchange for exchange in exchanges if is_served(file, exchange)]
    count.skipped = len(exchanges) - len(served)
    async with Asking(stage.gate.port) as client:
        for exchange in served:
            request, told = asked(file, exchange), says(file, exchange)
            there.answer = packets(serves(exchange), way, Random(digest(exchange)))
            token = (
                stage.account if request.path == "/v1/chat" or request.method == "GET" else stage.gate.token
            )
            answer = await client.ask(request.request(token))
            seen = Seen(there.target, there.body, there.fields)
            wrong = judge(file, exchange, told, request, seen, answer)
            told.values.clear()
            found.append((exchange, told, answer.fields["x-request-id"], wrong))
    await stage.gate.settled()
    records = {record.id: record for record in (await stage.gate.records()).closed}
    for exchange, told, call, wrong in found:
        count.add(exchange, wrong + judge_record(file, exchange, told, records.get(call)))
    return count


async def measure(
    tmp_path: Path, files: Iterable[str], way: Way, at_most: int | None = None
) -> dict[str, Count]:
    """All exchanges of these files, or a sample."""
    counts = {}
    for file in files:
        async with stage(tmp_path / file) as there:
            counts[file] = await run(there, file, sample(list(of_file(file)), at_most), way)
    return counts


def table(counts: dict[str, Count]) -> str:
    lines = ["| recorded | passed | failed | not served |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| `{file}` | {count.passed} | {count.failed} | {count.skipped} |" for file, count in counts.items()
    ]
    total = [
        sum(getattr(count, name) for count in counts.values()) for name in ("passed", "failed", "skipped")
    ]
    return "\n".join([*lines, f"| **all** | {total[0]} | {total[1]} | {total[2]} |"])


def failures(counts: dict[str, Count]) -> str:
    return "\n".join(
        f"{file} {len(ids)} {why[:200]!r} {ids[0]}"
        for file, count in counts.items()
        for why, ids in count.why.items()
    )
