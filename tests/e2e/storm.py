"""A storm: many clients with whole and streamed calls, some of which leave, while processes are killed at random.

Its clients speak HTTP by hand, a connection a call, so that nothing of a client library's own retries is between
what was asked and what is on record.
"""

import asyncio
import json
import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass, field

from chatvault.fake import FakeProvider
from tests.e2e.gateway import Gateway, Row, chat, eventually

_MODELS = (
    "sim/echo",
    "sim/pace-2ms+events-20",
    "sim/pace-10ms+events-40",
    "sim/slow-first-byte-60ms",
    "sim/slow-body-40ms",
    "sim/cut-after-3",
    "sim/fail-500",
    "sim/close-reused",
    "sim/error-in-stream-after-2",
)


@dataclass
class Tally:
    """What the clients saw."""

    sent: int = 0
    answered: int = 0
    broken: int = 0
    left: int = 0
    refused: int = 0
    whole: set[str] = field(default_factory=set)
    """Ids of calls whose answer came whole."""
    kills: dict[str, int] = field(default_factory=dict)


class Storm:
    def __init__(self, gateway: Gateway, provider: FakeProvider, seed: int, clients: int = 12) -> None:
        self.gateway = gateway
        self.provider = provider
        self.tally = Tally()
        self._random = random.Random(seed)
        self._clients = clients
        self._over = asyncio.Event()

    async def rage(self, seconds: float, *, whole_family: bool = True) -> None:
        """Load and kills, for so long; then whoever is under way ends."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(random.Random(self._random.random()), number))
            await self._kills(seconds, whole_family)
            self._over.set()

    async def _kills(self, seconds: float, whole_family: bool) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        names = ["worker0", "worker0", "control", "recorder"] + ["supervisor"] * whole_family
        while loop.time() < until:
            await asyncio.sleep(self._random.uniform(0.05, 0.8))
            victims = self._random.sample(names, self._random.choice((1, 1, 1, 2)))
            if "supervisor" in victims:
                await self._restart()
                continue
            family = self.gateway.family()
            for name in set(victims):
                if name in family:
                    with suppress(ProcessLookupError):
                        os.kill(family[name], signal.SIGKILL)
                        self._count(name)

    async def _restart(self) -> None:
        self._count("supervisor")
        self.gateway.signal(signal.SIGKILL)
        await self.gateway.wait()
        await self.gateway.start()

    def _count(self, name: str) -> None:
        self.tally.kills[name] = self.tally.kills.get(name, 0) + 1

    async def _client(self, chance: random.Random, number: int) -> None:
        count = 0
        while not self._over.is_set():
            count += 1
            model = chance.choice(_MODELS)
            stays = chance.random() > 0.2
            stream = chance.random() < 0.5 or model == "sim/error-in-stream-after-2"
            wanted = chat(model, f"call {count} of client {number}", stream=stream, max_tokens=50)
            try:
                async with asyncio.timeout(20 if stays else chance.uniform(0.001, 0.15)):
                    await self._call(wanted)
            except TimeoutError:
                assert not stays, f"a call hung: {wanted}"
                self.tally.left += 1
            except OSError:
                self.tally.broken += 1
                await asyncio.sleep(0.05)

    async def _call(self, wanted: dict[str, object]) -> None:
        host, _, port = self.gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            body = json.dumps(wanted).encode()
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {self.gateway.token}\r\nconnection: close\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            self.tally.sent += 1
            self._note(await reader.read())
        finally:
            writer.transport.abort()

    def _note(self, answer: bytes) -> None:
        """Count an answer; remember the ids of those that came to their end."""
        head, found, body = answer.partition(b"\r\n\r\n")
        if not found:
            self.tally.broken += 1
            return
        status = int(head.split(b" ", 2)[1])
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if status == 503:
            self.tally.refused += 1
            return
        assert status in (200, 500, 502), answer
        length = fields.get(b"content-length")
        if body.endswith(b"0\r\n\r\n") if length is None else len(body) == int(length):
            self.tally.answered += 1
            self.tally.whole.add(fields[b"x-request-id"].decode())
        else:
            self.tally.broken += 1


async def account(storm: Storm) -> list[Row]:
    """What has to be true after it: every call the provider saw is on record, once, and in the ledger, once."""
    gateway, provider = storm.gateway, storm.provider
    await eventually(lambda: not provider.stats.in_flight)
    rows = await gateway.level(30.0)
    calls = await gateway.calls()
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows)
    seen = list(provider.stats.ids)
    assert provider.stats.snapshot().dropped == 0
    assert set(seen) <= calls.opened.keys(), "the provider saw a call that is not on record"
    for id in seen:
        tries = max(calls.attempts.get(id, 1), 1)
        assert seen.count(id) <= tries, "sent again without a word on record"
    for id in calls.opened.keys() - set(seen):
        # On record and never seen: killed, or left by its client, between the record and the provider.
        assert by_id[id]["state"] in ("interrupted", "client_gone", "ended_by_gateway"), by_id[id]
    assert storm.tally.whole - calls.refused <= calls.closed.keys()
    for id in storm.tally.whole - calls.refused:
        assert by_id[id]["state"] not in ("interrupted", "client_gone"), by_id[id]
    for id, opened in calls.opened.items():
        row = by_id[id]
        assert row["attempts"] >= 1 or row["cost"] == 0
        if row["cost"] is None:
            assert row["cost_bound"] == (opened.reserved or 0) * row["attempts"], (row, opened)
    await gateway.verify()
    return rows
