"""Closing what the dead left open.

A chain is dead when its lock can be taken. Its calls that were opened and never closed are closed as
`interrupted` in control's own chain, with the most they may have cost, and then the chain is sealed as ended.
A torn last line is treated as absent: whoever wrote it had not been told that it was written, so nothing went
out because of it. The dead chain's file is left as it is.

Two rules of sealing (see sealing.py) keep the cost of a start small, whatever the journal's age: a segment is
compressed only when every call that was opened in it is closed, and a segment of control only when all that
it says about others concerns compressed segments. So only segments that are not compressed need to be read,
here: a dead chain's for its calls, control's for what was closed before. That makes recovery repeatable too:
killed anywhere, it goes on where it was.
"""

import os
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from chatvault.audit.lines import Closed, Private, Sealed
from chatvault.audit.reader import ChainReader, read_private
from chatvault.audit.scan import Calls, Pending, Settled
from chatvault.audit.segments import Segment, chains, reserve_path, take_lock
from chatvault.core.clock import now_us


class Interrupted(msgspec.Struct, frozen=True):
    """A closing line to append, and what is to be kept beside it: who was at the other end, and what the
    client had said of itself."""

    closed: Closed
    client: dict[str, object] | None
    metadata: object | None


class DeadChain(msgspec.Struct, frozen=True):
    """`seal` is appended after the closing lines: with it the chain is settled for good."""

    chain: str
    interrupted: list[Interrupted]
    seal: Sealed


class Recovery:
    """Holds the locks of the dead chains while what it found is written. Use as a context manager; blocking,
    for a thread."""

    def __init__(
        self, folder: Path, control: str, known: Settled | None = None, writer: str = "control"
    ) -> None:
        """`known` is what an earlier recovery of the same life of control found, and what was written
        since."""
        self.dead: list[DeadChain] = []
        self.settled = known or Settled()
        self._known = known is not None
        self._folder = folder
        self._control = control
        self._writer = writer
        self._locks = ExitStack()

    def look(self) -> None:
        """Look at all chains but `control`, the chain that will take the lines. Raises JournalError and
        OSError, and then holds no lock."""
        try:
            self._look()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the locks back, when all is written."""
        self._locks.close()

    def _look(self) -> None:
        unlocked: list[str] = []
        for chain, segments in chains(self._folder).items():
            if chain == self._control or chain in self.settled.ended:
                continue
            if all(segment.compressed for segment in segments):
                continue
            handle = take_lock(self._folder, chain)
            if handle is not None:
                self._locks.callback(os.close, handle)
                unlocked.append(chain)
        # Only now, when nobody else can settle them any more, what was settled is read; and the list of
        # segments again.
        listed = chains(self._folder)
        if not self._known:
            self.settled = settled(self._folder, listed, self._writer)
        for chain in unlocked:
            segments = [segment for segment in listed.get(chain, []) if not segment.compressed]
            if chain in self.settled.ended or not segments:
                continue
            self.dead.append(self._dead(chain, segments))
            with suppress(OSError):
                reserve_path(self._folder, chain).unlink(missing_ok=True)

    def _dead(self, chain: str, segments: list[Segment]) -> DeadChain:
        calls = Calls()
        first, last, digest, number = 0, 0, "", segments[-1].number
        with ChainReader(self._folder, chain, segments[0].number, lenient=True) as reader:
            for line, raw, segment, _ in reader:
                calls.see(line, segment)
                if segment == number:
                    first = first or line.seq
                    last, digest = line.seq, raw[-67:-3].decode("ascii", "replace")
        found = [
            self._interrupted(chain, pending)
            for id, pending in calls.open.items()
            if (chain, id) not in self.settled.interrupted
        ]
        seal = Sealed(
            at=now_us(), chain=chain, segment=number, first=first, last=last, digest=digest, ended=True
        )
        return DeadChain(chain, found, seal)

    def _interrupted(self, chain: str, pending: Pending) -> Interrupted:
        opened = pending.opened
        client = self._private(chain, pending.segment, opened.client)
        said = self._private(chain, pending.segment, opened.private) or {}
        return Interrupted(_closed(chain, pending), client, said.get("metadata"))

    def _private(self, chain: str, segment: int, private: Private | None) -> dict[str, object] | None:
        return None if private is None else read_private(self._folder, chain, segment, private)


def settled(folder: Path, listed: dict[str, list[Segment]], writer: str) -> Settled:
    """What control's lives have written about other chains, as far as it is not compressed. Raises
    JournalError and OSError."""
    found = Settled()
    for chain, segments in listed.items():
        plain = [segment.number for segment in segments if not segment.compressed]
        if not plain or not chain.startswith(f"{writer}-"):
            continue
        with ChainReader(folder, chain, plain[0], lenient=True) as reader:
            for line, *_ in reader:
                found.see(line)
    return found


def _closed(chain: str, pending: Pending) -> Closed:
    opened = pending.opened
    last = pending.attempts[-1] if pending.attempts else opened
    # Each attempt may have been billed, so the most the call may have cost is the sum; unknown if one of them
    # is.
    reserved = [opened.reserved, *(attempt.reserved for attempt in pending.attempts)]
    bounds = [bound for bound in reserved if bound is not None]
    return Closed(
        at=now_us(),
        id=opened.id,
        opened_at=opened.at,
        state="interrupted",
        status=0,
        token=opened.token,
        project=opened.project,
        user=opened.user,
        endpoint=opened.endpoint,
        model=opened.model,
        provider=last.provider,
        target=last.target,
        stream=opened.stream,
        attempts=1 + len(pending.attempts),
        bound=sum(bounds) if len(bounds) == len(reserved) else None,
        budgets=last.budgets or opened.budgets,
        price=last.price,
        key=opened.key,
        code="interrupted",
        trace=opened.trace,
        chain=chain,
    )
