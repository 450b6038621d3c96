"""Verification, offline: is the journal what was written, as far as anybody can vouch for it?

Each chain is walked (walk.py). Then what lines say about other chains is held against what is there: a signed
statement about all heads it names, the first line of a life about the heads before it, a sealing line about
its segment. A line is proven if a chain of digests leads to it from a genuine signature, by way of any number
of such lines; what is not reached is an unsigned tail, however well it fits together.

The journal may be in use meanwhile. Control's chains are read first, since they speak of the others; and
before a chain is said to be short, it is read again.
"""

from itertools import pairwise
from pathlib import Path

import msgspec

from chatvault.audit.findings import ChainReport, Finding, Report
from chatvault.audit.keys import PublicKey, own_key, public_keys
from chatvault.audit.lines import ChainStarted, Sealed, Signed
from chatvault.audit.segments import chains
from chatvault.audit.signing import Statement, head_path, is_genuine, read_head, statement_of
from chatvault.audit.walk import Said, Walk
from chatvault.core.errors import JournalError


class _Claim(msgspec.Struct, frozen=True):
    """`chain` had a line `seq` with this digest, says the line `by_seq` of the chain `by`; a signature or
    an anchor if that is empty."""

    file: str
    line: int
    by: str
    by_seq: int
    chain: str
    seq: int
    digest: str


def verify(data: Path, key: str | None = None, anchor: Path | None = None) -> Report:
    """Verify the journal of a data folder. `key` is the fingerprint to believe, `anchor` a file with
    statements that were kept elsewhere (as `audit head` printed them, one or many). Raises JournalError
    for what cannot be read."""
    try:
        return _Verification(data, key, _anchors(anchor)).run()
    except OSError as error:
        what = f"{error.filename or data} cannot be read: {error.strerror or error}."
        raise JournalError(f"{what} Run this as the user that owns the data folder.") from error


class _Verification:
    def __init__(self, data: Path, key: str | None, anchors: list[Statement]) -> None:
        self.data = data
        self.anchors = anchors
        self.findings: list[Finding] = []
        self.walks: dict[str, Walk] = {}
        self.claims: list[_Claim] = []
        self.stubs: list[tuple[str, Sealed]] = []
        self.proven: dict[str, int] = {}
        self.statements: dict[int, Signed] = {}
        self.keys, self.first_key, self.trust = self._believed(key)
        self.sealed: list[tuple[str, Sealed]] = []
        self.published = {**public_keys(data), **self.keys}

    def run(self) -> Report:
        kept = self._kept()
        folder = self.data / "journal"
        for control in (True, False):
            for chain, segments in chains(folder).items():
                if chain.startswith("control-") == control:
                    self.walks[chain] = Walk(self.data, chain).along(segments)
        for walk in self.walks.values():
            self.findings += walk.findings
            for said in walk.said:
                self._hear(walk, said)
        self._weigh_statements()
        newest = max(self.statements, default=0)
        self._weigh_kept(kept, newest)
        agreed = [anchor for anchor in self.anchors if self._weigh_anchor(anchor, newest)]
        self._read_again()
        self._prove()
        self._check_claims()
        self._check_segments()
        return self._report(newest, len(agreed))

    # --- whom to believe

    def _believed(self, pinned: str | None) -> tuple[dict[str, PublicKey], str | None, str]:
        known = public_keys(self.data)
        own: PublicKey | None = None
        try:
            secret = own_key(self.data)
            own = secret.public if secret is not None else None
        except PermissionError:
            pass
        if own is not None:
            known[own.fingerprint] = own
        if pinned is not None:
            if pinned not in known:
                what = f"no public key has the fingerprint {pinned}: the journal was signed by another"
                self.findings.append(Finding("journal/signing.pub", 0, what))
                return {}, pinned, "The key was given, and is not here."
            return {pinned: known[pinned]}, pinned, "The key is the one that was given."
        if own is not None:
            # What older keys signed is vouched for by what this one signed later.
            return (
                {own.fingerprint: own},
                own.fingerprint,
                "The key is this data folder's own (secrets/signing.key).",
            )
        trust = "The key is believed because journal/signing.pub holds it; give --key to be sure."
        return known, None, trust

    # --- what is said

    def _hear(self, walk: Walk, said: Said) -> None:
        line = said.line
        if isinstance(line, ChainStarted):
            for chain, (seq, digest) in line.heads.items():
                self._claim(said, walk.chain, chain, seq, digest)
        elif isinstance(line, Signed):
            self._hear_signed(said, line)
        elif line.deleted:
            self.stubs.append((walk.chain, line))
        else:
            self.sealed.append((f"{said.file}:{said.number}", line))
            if line.last:
                self._claim(said, walk.chain, line.chain, line.last, line.digest)

    def _claim(self, said: Said, by: str, chain: str, seq: int, digest: str) -> None:
        self.claims.append(_Claim(said.file, said.number, by, said.line.seq, chain, seq, digest))

    def _hear_signed(self, said: Said, line: Signed) -> None:
        if line.key in self.keys:
            if is_genuine(line, self.keys):
                self.statements.setdefault(line.number, line)
                for chain, (seq, digest) in line.heads.items():
                    self._claim(said, "", chain, seq, digest)
            else:
                self._find(said.file, said.number, "the signature is wrong")
        elif not is_genuine(line, self.published):
            self._find(said.file, said.number, f"the signature is by a key nobody knows: {line.key}")

    def _weigh_statements(self) -> None:
        newest = max(self.statements, default=0)
        if not newest and self.published:
            self._find("journal", 0, "there is a key, but nothing is signed by it: statements are missing")
        believed = self.first_key
        for walk in self.walks.values():
            for said in walk.said:
                line = said.line
                if not isinstance(line, Signed) or believed is None or line.key == believed:
                    continue
                ours = [number for number, one in self.statements.items() if one.key == believed]
                if line.number > max(ours, default=0):
                    self._find(said.file, said.number, f"signed by {line.key}, not by {believed}")
        if not self.stubs:
            for before, after in pairwise(sorted(self.statements)):
                if after != before + 1:
                    self._find("journal", 0, f"signed statements {before + 1} to {after - 1} are missing")

    def _kept(self) -> Statement | None:
        try:
            return read_head(self.data)
        except ValueError as error:
            self._find("head.json", 0, f"it holds no signed statement: {error}")
            return None

    def _weigh_kept(self, kept: Statement | None, newest: int) -> None:
        if kept is None:
            return
        name = head_path(self.data).name
        if not is_genuine(kept, self.keys):
            self._find(name, 0, "its signature is wrong, or by another key")
        elif kept.number > newest:
            what = f"it holds statement {kept.number}, the journal's newest is {newest}"
            self._find(name, 0, f"{what}: the journal was rolled back or cut")
        else:
            self._claim_all(name, kept)

    def _weigh_anchor(self, anchor: Statement, newest: int) -> bool:
        before = len(self.findings)
        name = f"anchor {anchor.number}"
        if not is_genuine(anchor, self.keys):
            self._find(name, 0, "its signature is wrong, or by another key")
            return False
        if anchor.number > newest:
            self._find(name, 0, f"the journal's newest statement is {newest}: it was rolled back or cut")
        same = self.statements.get(anchor.number)
        if same is not None and same.signature != anchor.signature:
            self._find(name, 0, "the journal holds another statement of that number: it was written anew")
        elif same is None and anchor.number <= newest and not self.stubs:
            self._find(name, 0, "the journal holds no statement of that number: it was written anew")
        self._claim_all(name, anchor)
        return len(self.findings) == before

    def _claim_all(self, name: str, statement: Statement) -> None:
        for chain, (seq, digest) in statement.heads.items():
            self.claims.append(_Claim(name, 0, "", 0, chain, seq, digest))

    # --- what follows

    def _read_again(self) -> None:
        """A chain that seems short may only have grown since it was read."""
        short = {
            c.chain for c in self.claims if c.chain not in self.walks or c.seq > self.walks[c.chain].last
        }
        listed = chains(self.data / "journal") if short else {}
        for chain in short & listed.keys():
            walk = Walk(self.data, chain).along(listed[chain])
            if chain not in self.walks:
                self.findings += walk.findings
            self.walks[chain] = walk

    def _prove(self) -> None:
        """Follow the claims from the signatures on, as far as they lead."""
        waiting = self.claims
        moved = True
        while moved:
            moved = False
            later: list[_Claim] = []
            for claim in waiting:
                if claim.by and self.proven.get(claim.by, 0) < claim.by_seq:
                    later.append(claim)
                elif self._holds(claim) and claim.seq > self.proven.get(claim.chain, 0):
                    self.proven[claim.chain] = claim.seq
                    moved = True
            waiting = later

    def _holds(self, claim: _Claim) -> bool:
        walk = self.walks.get(claim.chain)
        if walk is None or walk.digest(claim.seq) != claim.digest:
            return False
        return walk.first_bad is None or claim.seq < walk.first_bad

    def _check_claims(self) -> None:
        missing: dict[str, _Claim] = {}
        short: dict[str, _Claim] = {}
        other: dict[tuple[str, int], _Claim] = {}
        for claim in self.claims:
            walk = self.walks.get(claim.chain)
            if self._removed_lawfully(claim.chain, claim.seq, claim.digest):
                continue
            if walk is None or walk.last == 0:
                missing.setdefault(claim.chain, claim)
            elif claim.seq > walk.last:
                if claim.chain not in short or claim.seq > short[claim.chain].seq:
                    short[claim.chain] = claim
            elif claim.seq > walk.base and walk.digest(claim.seq) != claim.digest:
                other.setdefault((claim.chain, claim.seq), claim)
        for claim in missing.values():
            what = f"the chain is missing; {claim.file}:{claim.line} knows it up to line {claim.seq}"
            self._find(f"journal/{claim.chain}", 0, what)
        for claim in short.values():
            walk = self.walks[claim.chain]
            what = f"lines {walk.last + 1} to {claim.seq} are missing; {claim.file}:{claim.line} knows them"
            self._find(*walk.place(walk.last), what)
        for claim in other.values():
            what = f"line {claim.seq} is not the one that {claim.file}:{claim.line} knows"
            self._find(*self.walks[claim.chain].place(claim.seq), what)

    def _removed_lawfully(self, chain: str, seq: int, digest: str) -> bool:
        """Whether a proven stub stands for that line."""
        for by, stub in self.stubs:
            if stub.chain == chain and stub.first <= seq <= stub.last and self.proven.get(by, 0) >= stub.seq:
                return seq != stub.last or digest == stub.digest
        return False

    def _check_segments(self) -> None:
        for walk in self.walks.values():
            if walk.base and not self._removed_lawfully(walk.chain, walk.base, walk.base_digest):
                self._find(f"journal/{walk.chain}", 0, f"lines 1 to {walk.base} are missing at its start")
        for where, line in self.sealed:
            seen = self.walks.get(line.chain)
            if seen is None or line.segment not in seen.bounds:
                continue
            if seen.bounds[line.segment] != (line.first, line.last):
                what = f"segment {line.segment} holds other lines than {where} says"
                self._find(seen.files[line.segment], 0, what)
            elif line.ended and max(seen.bounds) > line.segment:
                what = f"the chain goes on after it had ended, as {where} says"
                self._find(seen.files[max(seen.bounds)], 0, what)

    def _find(self, file: str, line: int, what: str) -> None:
        self.findings.append(Finding(file, line, what))

    def _report(self, newest: int, agreed: int) -> Report:
        reports: list[ChainReport] = []
        for chain, walk in sorted(self.walks.items()):
            signed = max(0, min(self.proven.get(chain, 0) - walk.base, walk.lines))
            reports.append(
                ChainReport(
                    chain=chain,
                    lines=walk.lines,
                    signed=signed,
                    unsigned=walk.lines - signed,
                    torn=walk.torn,
                )
            )
        last = self.statements.get(newest)
        return Report(
            ok=not self.findings,
            findings=self.findings,
            chains=reports,
            last=statement_of(last) if last is not None else None,
            key=last.key if last is not None else None,
            trust=self.trust,
            anchors=agreed,
            erased=sum(walk.erased for walk in self.walks.values()),
            private=sum(walk.private for walk in self.walks.values()),
        )


def _anchors(path: Path | None) -> list[Statement]:
    """The statements in a file: one JSON object, or one a line. Raises JournalError."""
    if path is None:
        return []
    try:
        text = path.read_bytes()
    except OSError as error:
        raise JournalError(f"The anchor {path} cannot be read: {error.strerror or error}.") from error
    try:
        return [msgspec.json.decode(text, type=Statement)]
    except msgspec.DecodeError:
        pass
    try:
        found = [msgspec.json.decode(line, type=Statement) for line in text.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        what = f"The anchor {path} holds no signed statement ({error})."
        raise JournalError(f"{what} It has to be what `chatvault audit head` printed.") from error
    if not found:
        raise JournalError(f"The anchor {path} is empty. It has to be what `chatvault audit head` printed.")
    return found
