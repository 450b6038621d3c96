"""What a journal says, read back and verified."""

from pathlib import Path

from chatvault.audit.lines import AnyLine, Attempted, Closed, Opened, Priced, Private, Refused
from chatvault.audit.reader import ChainReader, chains, read_private


class Records:
    """All lines of all chains, in order. Reading fails if a line is not as it was written, or not in its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[AnyLine] = []
        self.ends: dict[str, int] = {}
        """By call: where the line that opened it ends in its segment, in bytes."""
        self._places: dict[int, tuple[str, int]] = {}
        for chain in chains(folder):
            with ChainReader(folder, chain, check=True) as reader:
                for line, _, segment, offset in reader:
                    self.lines.append(line)
                    self._places[id(line)] = (chain, segment)
                    if isinstance(line, Opened):
                        self.ends[line.id] = offset

    @property
    def opened(self) -> list[Opened]:
        return [line for line in self.lines if isinstance(line, Opened)]

    @property
    def closed(self) -> list[Closed]:
        return [line for line in self.lines if isinstance(line, Closed)]

    @property
    def refused(self) -> list[Refused]:
        return [line for line in self.lines if isinstance(line, Refused)]

    @property
    def attempted(self) -> list[Attempted]:
        return [line for line in self.lines if isinstance(line, Attempted)]

    @property
    def priced(self) -> list[Priced]:
        return [line for line in self.lines if isinstance(line, Priced)]

    def only(self) -> Closed:
        """The record of the only call there was."""
        assert [line.id for line in self.opened] == [line.id for line in self.closed]
        (closed,) = self.closed
        return closed

    def of(self, call: str) -> Closed:
        """The record of a call, which was opened once and closed once, in this order."""
        lines = [line for line in self.lines if isinstance(line, Opened | Closed) and line.id == call]
        assert [type(line) for line in lines] == [Opened, Closed], (call, lines)
        closed = lines[1]
        assert isinstance(closed, Closed)
        return closed

    def private(self, line: AnyLine, private: Private | None) -> dict[str, object] | None:
        """What a line refers to."""
        if private is None:
            return None
        return read_private(self.folder, *self._places[id(line)], private)

    def check_pairs(self) -> None:
        """Every call that was opened was closed, once, later."""
        open_ids: set[str] = set()
        done: set[str] = set()
        for line in self.lines:
            if isinstance(line, Opened):
                assert line.id not in open_ids | done
                open_ids.add(line.id)
            elif isinstance(line, Closed):
                assert line.id in open_ids, line
                open_ids.remove(line.id)
                done.add(line.id)
        assert not open_ids
