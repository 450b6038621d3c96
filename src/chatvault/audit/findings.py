"""What a verification found, as a value to print and to hand on."""

from typing import Final

import msgspec

from chatvault.audit.signing import Statement
from chatvault.core.clock import iso

_SHOWN: Final = 50


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """`line` counts from 1 within the file; 0 where no line is to be named."""

    file: str
    line: int
    what: str


class ChainReport(msgspec.Struct, kw_only=True):
    """Lines of one chain: all of them, those a signature vouches for, those after; and whether the last
    one is torn."""

    chain: str
    lines: int = 0
    signed: int = 0
    unsigned: int = 0
    torn: int = 0


class Report(msgspec.Struct, kw_only=True):
    """`ok`: nothing was found that should not be. Only `signed` lines are proven; `unsigned` ones merely
    fit together."""

    ok: bool
    findings: list[Finding]
    chains: list[ChainReport]
    last: Statement | None = None
    """The newest genuine signed statement in the journal."""
    key: str | None = None
    """Fingerprint of the key that signed it."""
    trust: str = ""
    """Why that key is believed."""
    anchors: int = 0
    """Statements from elsewhere that the journal agrees with."""
    erased: int = 0
    """Private parts that are gone; the chain still holds their digests."""
    private: int = 0
    """Private parts that are there and as they were written."""

    def text(self) -> str:
        """For a terminal."""
        out = [f"{finding.file}:{finding.line}: {finding.what}" for finding in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            out.append(f"... and {len(self.findings) - _SHOWN} more findings")
        if out:
            out.append("")
        for chain in self.chains:
            tail = f", unsigned tail of {chain.unsigned}" if chain.unsigned else ""
            torn = ", last line torn" if chain.torn else ""
            out.append(f"{chain.chain}: {chain.lines} lines, {chain.signed} signed{tail}{torn}")
        out += ["", *self._summary()]
        return "\n".join(out) + "\n"

    def _summary(self) -> list[str]:
        lines = sum(chain.lines for chain in self.chains)
        signed = sum(chain.signed for chain in self.chains)
        out = [f"{lines} lines in {len(self.chains)} chains, {signed} signed, {lines - signed} unsigned"]
        out.append(f"{self.private} private parts as they were written, {self.erased} erased")
        if self.last is None:
            out.append("No signed statement was found: nothing is proven.")
        else:
            out.append(f"last signed head: number {self.last.number} of {iso(self.last.at)}, key {self.key}")
            out.append(self.trust)
        if self.anchors:
            out.append(f"{self.anchors} anchors agree")
        out.append("VERIFIED" if self.ok else f"NOT VERIFIED: {len(self.findings)} findings")
        return out
