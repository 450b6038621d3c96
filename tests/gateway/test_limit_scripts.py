"""The store's scripts against the limiter of a worker: the same calls on the same clock are decided the same."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from chatvault.access.limiter import MICRO, Exceeded, Limiter, Meter, Ticket, admit
from chatvault.access.limits import Limited, Limits
from chatvault.gateway import limit_scripts
from chatvault.gateway.limit_hold import Hold, Part
from chatvault.gateway.limit_scripts import BEAT, CLOCK, LEASE_MS, Script
from chatvault.gateway.shared_limits import admission
from chatvault.net.commands import bulk, command
from chatvault.net.resp import Refused, Replies
from tests.gateway.valkey import Valkey, valkey

LIVES = bulk(b"chatvault:lives")
OUR_CLOCK = "local now = tonumber(redis.call('GET', 'clock'))\n"


class Line:
    """A connection of a test without a loop; each command is answered before the next. Scripts run on its clock."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._replies = Replies()

    def ask(self, data: bytes) -> Any:
        self._socket.sendall(data)
        while not (found := self._replies.feed(self._socket.recv(65536))):
            pass
        assert not isinstance(found[0], Refused), found[0]
        return found[0]

    def at(self, now: int) -> None:
        self.ask(command(b"SET", b"clock", b"%d" % now))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    loop = asyncio.new_event_loop()
    opened = valkey()
    server: Valkey = loop.run_until_complete(opened.__aenter__())
    found = Line(str(server.socket))
    for name in ("ADMIT", "SETTLE", "BEAT", "LOOK"):
        mine = Script(getattr(limit_scripts, name).source.replace(CLOCK.encode(), OUR_CLOCK.encode()))
        found.ask(command(b"SCRIPT", b"LOAD", mine.source))
        for module in ("limit_scripts", "shared_limits", "limit_hold", "limit_look"):
            monkeypatch.setattr(f"chatvault.gateway.{module}.{name}", mine, raising=False)
    yield found
    found.close()
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


def decide(line: Line, meters: tuple[Meter, ...], tokens: int, life: bytes = b"one") -> Hold:
    hold = Hold(line.ask, tuple(map(Part, meters)), tokens, None, 0.0, life)
    hold.take(line.ask(admission(hold, tokens)))
    return hold


def beat(line: Line, life: bytes) -> None:
    line.ask(limit_scripts.BEAT.command(1, 1, LIVES + bulk(life)))


LIMITS = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(0, 90),
    tokens_per_minute=st.none() | st.integers(0, 500),
    tokens_per_hour=st.none() | st.integers(0, 2000),
    concurrent=st.none() | st.integers(0, 6),
    shadow=st.booleans(),
)


class Same(RuleBasedStateMachine):
    """Both are told the same."""

    line: Line

    def __init__(self) -> None:
        super().__init__()
        self.line.ask(command(b"FLUSHDB"))
        self.now = 1_790_000_000 * MICRO
        self.line.at(self.now)
        beat(self.line, b"one")
        self.limiter = Limiter()
        self.meters: tuple[Meter, ...] = ()
        self.open: list[tuple[Ticket, Hold]] = []

    @precondition(lambda self: not self.meters)
    @rule(limits=st.lists(LIMITS, min_size=1, max_size=3))
    def begin(self, limits: list[Limits]) -> None:
        self.meters = tuple(
            self.limiter.meter(Limited("token", str(n), each)) for n, each in enumerate(limits)
        )

    @rule(by=st.sampled_from((1, 900, 400_000, 937_500, 2 * MICRO, 31 * MICRO, 2000 * MICRO)))
    def wait(self, by: int) -> None:
        self.now += by
        self.line.at(self.now)
        beat(self.line, b"one")

    @precondition(lambda self: self.meters)
    @rule(
        tokens=st.integers(0, 300), times=st.sampled_from((1, 1, 3, 70)), apart=st.sampled_from((0, 7, 1000))
    )
    def call(self, tokens: int, times: int, apart: int) -> None:
        for _ in range(times):
            self.now += apart
            self.line.at(self.now)
            found = admit(self.meters, tokens, self.now)
            hold = decide(self.line, self.meters, tokens)
            first, shadows = hold.exceeded()
            if isinstance(found, Exceeded):
                assert (hold.through, first) == (False, found)
            else:
                assert (hold.through, first) == (True, None)
                assert shadows == (found.shadowed or [])
                self.open.append((found, hold))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), used=st.none() | st.integers(0, 600), cancelled=st.booleans())
    def end(self, data: st.DataObject, used: int | None, cancelled: bool) -> None:
        ticket, hold = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        if cancelled:
            ticket.cancel()
            hold.cancel()
        else:
            ticket.settle(used)
            hold.settle(used)


def test_the_store_decides_as_a_worker_alone_does(line: Line) -> None:
    Same.line = line
    run_state_machine_as_test(Same, settings=settings(max_examples=40, stateful_step_count=20, deadline=None))


def test_what_a_dead_worker_had_under_way_lapses(line: Line) -> None:
    meters = (Limiter().meter(Limited("token", "t", Limits(concurrent=2))),)
    now = 1_790_000_000 * MICRO
    line.at(now)
    beat(line, b"one")
    beat(line, b"two")
    assert decide(line, meters, 0, b"one").through
    mine = decide(line, meters, 0, b"two")
    assert mine.through
    assert not decide(line, meters, 0, b"two").through
    line.at(now + LEASE_MS * 1000 - 1)
    beat(line, b"two")
    assert not decide(line, meters, 0, b"two").through
    line.at(now + LEASE_MS * 1000 + 1)
    another = decide(line, meters, 0, b"two")
    assert another.through
    mine.settle(None)
    another.settle(None)
    assert line.ask(command(b"EXISTS", b"chatvault:token:t:concurrent")) == 0


def test_a_settlement_that_comes_after_its_window_was_made_anew_changes_nothing(line: Line) -> None:
    meters = (Limiter().meter(Limited("token", "t", Limits(tokens_per_minute=1000))),)
    line.at(1_790_000_000 * MICRO)
    old = decide(line, meters, 400)
    line.ask(command(b"FLUSHDB"))
    line.at(1_790_000_001 * MICRO)
    decide(line, meters, 600)
    old.settle(0)
    assert decide(line, meters, 401).exceeded()[0] == Exceeded(
        "token", "t", "tokens_per_minute", 1000, 600, 60.0
    )


def test_every_key_expires(line: Line) -> None:
    meters = (Limiter().meter(Limited("token", "t", Limits(requests_per_day=9, concurrent=2))),)
    line.at(1_790_000_000 * MICRO)
    beat(line, b"one")
    decide(line, meters, 0).settle(0)
    decide(line, meters, 0)
    for key in line.ask(command(b"KEYS", b"chatvault:*")):
        assert 0 < line.ask(command(b"PTTL", key)) <= 86_401_000, key
    assert BEAT.source in limit_scripts.LOADS[2]
