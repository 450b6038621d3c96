"""The tap beside a stream of Ollama: usage, finish reason, errors inside it, and whether it came to its end.

A packet is read only if it may tell something new, which a few searches for fixed bytes decide. A tap never
fails: what it cannot read it
passes on.
"""

from chatvault.wire.ollama.facts import learn, read_line
from chatvault.wire.ollama.lines import lines
from chatvault.wire.openai.reply import Facts


class StreamTap:
    """`hide` is for dialects in which the gateway asks for usage: here it always comes, and nothing is
    hidden.
    """

    __slots__ = ("done", "ended", "events", "facts", "last", "plain", "plain_size")

    def __init__(self, *, hide: bool = False) -> None:
        self.facts = Facts()
        self.done = False
        """The line that is `done` was there."""
        self.ended = False
        self.events = 0
        self.plain = self.plain_size = 0
        """Lines that carried nothing but content, and their bytes."""
        self.last = b""
        """The latest packet that carried plain content, for an estimate."""

    def scan(self, whole: bytes) -> bytes:
        """Whole lines in, and out again as they are."""
        count = whole.count
        if self.events and count(b'"done"') == count(b'"done":false') and b'"error"' not in whole:
            plain = count(b'"done":false')
            self.events += plain
            self.plain += plain
            self.plain_size += len(whole)
            if plain:
                self.last = whole
            return whole
        for line in lines(whole):
            self.events += 1
            try:
                said = read_line(line)
            except ValueError:
                continue
            learn(self.facts, said)
            if said.done:
                self.done = self.ended = True
        return whole

    def again(self, event: bytes) -> None:
        """One more event that is like the last plain one but for what it says."""
        self.events += 1
        self.plain += 1
        self.plain_size += len(event)
        self.last = event

    def may_hide(self, partial: bytes | bytearray) -> bool:
        """Whether a part of a line may turn out to be one that is taken out."""
        return False
