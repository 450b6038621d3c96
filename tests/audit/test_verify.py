import asyncio
import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatvault.audit.findings import Report
from chatvault.audit.frame import decode, frame
from chatvault.audit.keeper import JournalKeeper
from chatvault.audit.keys import own_key, public_path, secret_path, signing_key
from chatvault.audit.lines import Sealed, Signed
from chatvault.audit.reader import chains
from chatvault.audit.signing import Signer, head, head_path, statement_of, write_head
from chatvault.audit.verify import verify
from chatvault.config.schema import AuditConfig
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer, opened
from tests.audit.test_recovery import die

SETTINGS = AuditConfig(reserve=0, segment_size=3000)
TAIL = 3
"""Calls that a living worker writes after the last signature."""


async def lives(data: Path) -> None:
    """Two lives of control; a worker that died, one that is alive; sealed segments; an unsigned tail."""
    first = await JournalKeeper.open(data, SETTINGS, version="test")
    dead = open_writer(data, "worker0", SETTINGS)
    alive = open_writer(data, "worker1", SETTINGS)
    for number in range(7):
        for writer in (dead, alive):
            line = opened(f"{writer.writer}-{number}")
            line.client = writer.private(line.id, "client", {"address": "192.0.2.1"})
            line.private = writer.private(line.id, "request", {"metadata": {"team": "blue"}})
            writer.append(line)
            end = closed(line.id)
            end.private = writer.private(line.id, "error", {"text": "what went wrong"})
            writer.append_reserved(end)
        await first.sign()
    dead.append(opened("lost"))
    await first.seal()
    first.admin("mgmt", "token.create", "tok_1")
    die(dead)
    die(first.writer)
    second = await JournalKeeper.open(data, SETTINGS, version="test")
    await second.seal()
    await second.sign()
    for number in range(TAIL):
        alive.append(opened(f"tail-{number}"))
    second.writer.append(closed("odd"))
    die(alive)
    die(second.writer)


class Journal(NamedTuple):
    data: Path
    files: dict[str, bytes]
    lines: dict[str, list[bytes]]
    signed: dict[str, int]

    def __repr__(self) -> str:
        return f"Journal({self.data})"

    def restore(self) -> None:
        shutil.rmtree(self.data)
        for name, content in self.files.items():
            path = self.data / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def contents(data: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()
    }


def lines_on_disk(data: Path) -> dict[str, list[bytes]]:
    """Whole lines by chain; what cannot be unpacked reads as nothing."""
    found: dict[str, list[bytes]] = {}
    for chain, segments in chains(data / "journal").items():
        whole = b""
        for segment in segments:
            content = segment.path.read_bytes()
            try:
                whole += gzip.decompress(content) if segment.compressed else content
            except Exception:
                whole += b"broken\n"
        found[chain] = [line for line in whole.splitlines(keepends=True) if line.endswith(b"\n")]
    return found


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    data = tmp_path_factory.mktemp("journal") / "data"
    asyncio.run(lives(data))
    report = verify(data)
    assert report.ok, report.text()
    signed = {chain.chain: chain.signed for chain in report.chains}
    return Journal(data, contents(data), lines_on_disk(data), signed)


@pytest.fixture
def fresh(journal: Journal) -> Journal:
    journal.restore()
    return journal


def said(report: Report) -> str:
    return "\n".join(finding.what for finding in report.findings)


def test_an_honest_journal_verifies_and_tells_its_unsigned_tails(fresh: Journal) -> None:
    report = verify(fresh.data)
    assert report.ok
    tails = {chain.chain.split("-")[0]: chain.unsigned for chain in report.chains}
    assert tails["worker1"] == TAIL
    assert tails["worker0"] == 0
    assert tails["control"] == 2, "the last signature itself, and what came after it"
    assert any(name.endswith(".gz") for name in fresh.files)
    assert report.private == 42
    assert report.erased == 0
    assert "VERIFIED" in report.text()
    assert "unsigned tail of 3" in report.text()
    assert msgspec.json.decode(msgspec.json.encode(report))["ok"] is True


def flip(content: bytes, at: int, bit: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


def drop(content: bytes, at: int, _: int) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[at % len(lines)]
    return b"".join(lines)


def swap(content: bytes, at: int, other: int) -> bytes:
    lines = content.splitlines(keepends=True)
    one, two = at % len(lines), (at + 1 + other) % len(lines)
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def double(content: bytes, at: int, other: int) -> bytes:
    lines = content.splitlines(keepends=True)
    lines.insert((at + other) % len(lines), lines[at % len(lines)])
    return b"".join(lines)


def cut(content: bytes, at: int, _: int) -> bytes:
    return content[: at % len(content)]


def hole(content: bytes, at: int, size: int) -> bytes:
    at %= len(content)
    return content[:at] + content[at + 1 + size * 50 :]


def rechained(content: bytes, at: int, _: int) -> bytes:
    """What somebody does who knows the format: edit a line, and link all that follow anew."""
    lines = content.splitlines(keepends=True)
    at %= len(lines)
    out, prev = lines[:at], None
    for raw in lines[at:]:
        line = decode(raw)
        if prev is None:
            line.at += 1
        else:
            line.prev = prev
        text, prev = frame(line)
        out.append(text)
    return b"".join(out)


CHANGES: list[Callable[[bytes, int, int], bytes]] = [flip, drop, swap, double, cut, hole, rechained]


def check(journal: Journal) -> Report:
    """The promise: what was signed is as it was, or there is a finding; nothing else is called signed."""
    report = verify(journal.data)
    now = lines_on_disk(journal.data)
    intact = all(
        now.get(chain, [])[:signed] == journal.lines[chain][:signed]
        for chain, signed in journal.signed.items()
    )
    assert intact or not report.ok, "a change before the last signed head was not found"
    for chain in report.chains:
        assert chain.signed <= journal.signed.get(chain.chain, 0), "more is called signed than was"
        if report.ok:
            assert chain.signed == journal.signed.get(chain.chain, 0)
            assert chain.unsigned == len(now[chain.chain]) - chain.signed
    return report


EXAMPLES = max(150, settings.default.max_examples if settings.default else 0)
MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=EXAMPLES)


@MANY
@given(
    change=st.sampled_from(CHANGES),
    file=st.integers(0, 1000),
    at=st.integers(0, 100_000),
    other=st.integers(0, 7),
)
def test_every_change_to_a_file_is_found_or_is_unsigned(
    journal: Journal, change: Callable[[bytes, int, int], bytes], file: int, at: int, other: int
) -> None:
    journal.restore()
    names = [name for name, whole in journal.files.items() if ".jsonl" in name and name < "k" and whole]
    name = names[file % len(names)]
    content = journal.files[name]
    if (name.endswith(".gz") and at % 2) or (
        change in (swap, double, drop, rechained) and name.endswith(".gz")
    ):
        changed = gzip.compress(change(gzip.decompress(content), at, other))
    else:
        changed = change(content, at, other)
    (journal.data / name).write_bytes(changed)
    check(journal)


@MANY
@given(removed=st.sets(st.integers(0, 30), min_size=1, max_size=3), whole_chain=st.booleans())
def test_every_missing_file_or_chain_is_found(journal: Journal, removed: set[int], whole_chain: bool) -> None:
    journal.restore()
    names = [name for name in journal.files if ".jsonl" in name and name.startswith("journal/")]
    for number in removed:
        name = names[number % len(names)]
        for path in (journal.data / "journal").glob(name.split("/")[1].split(".")[0] + ".*"):
            if whole_chain or path.name in name:
                path.unlink()
    report = check(journal)
    assert not report.ok or not whole_chain


def plain(journal: Journal, writer: str) -> Path:
    found = [path for path in (journal.data / "journal").glob(f"{writer}-*.jsonl") if path.stat().st_size]
    return max(found)


def test_an_edit_is_named_by_file_and_line(fresh: Journal) -> None:
    path = plain(fresh, "worker1")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[0] = lines[0].replace(b'"at":', b'"at":1', 1)
    path.write_bytes(b"".join(lines))
    finding = verify(fresh.data).findings[0]
    assert (finding.file, finding.line) == (f"journal/{path.name}", 1)
    assert "not as it was written" in finding.what


def test_the_unsigned_tail_may_be_forged_but_is_never_proven(fresh: Journal) -> None:
    path = plain(fresh, "worker1")
    lines = path.read_bytes().splitlines(keepends=True)
    assert b"tail-" in lines[-TAIL]
    path.write_bytes(rechained(path.read_bytes(), len(lines) - TAIL, 0))
    report = check(fresh)
    assert report.ok, "it fits together"
    assert next(c for c in report.chains if c.chain.startswith("worker1")).unsigned == TAIL


def test_a_torn_last_line_is_told_as_torn(fresh: Journal) -> None:
    path = plain(fresh, "worker1")
    with path.open("ab") as file:
        file.write(b'{"type":"opened","se')
    report = check(fresh)
    assert report.ok
    assert "last line torn" in report.text()
    assert [chain.torn for chain in report.chains if chain.chain.startswith("worker1")] == [1]


def test_private_parts_may_be_erased_but_not_changed(fresh: Journal) -> None:
    part = min((fresh.data / "private").rglob("*.jsonl"))
    content = part.read_bytes()
    blank = content.index(b"\n")
    part.write_bytes(b" " * blank + content[blank:])
    report = verify(fresh.data)
    assert (report.ok, report.erased) == (True, 1)
    part.unlink()
    report = verify(fresh.data)
    assert report.ok
    assert report.erased > 1
    part.write_bytes(content.replace(b"192.0.2.1", b"192.0.2.2", 1))
    report = verify(fresh.data)
    assert [finding.what for finding in report.findings] == [
        "the private part of this line is not as it was written"
    ]
    assert report.findings[0].line


def test_a_journal_that_was_put_back_is_found_by_the_head_beside_it(fresh: Journal) -> None:
    old = {name: content for name, content in fresh.files.items() if name.startswith("journal/")}

    async def go_on() -> None:
        keeper = await JournalKeeper.open(fresh.data, SETTINGS, version="test")
        await keeper.close()

    asyncio.run(go_on())
    assert verify(fresh.data).ok
    anchor = fresh.data / "anchor"
    newest = head(fresh.data)
    anchor.write_bytes(msgspec.json.encode(newest))
    shutil.rmtree(fresh.data / "journal")
    for name, content in old.items():
        (fresh.data / name).parent.mkdir(exist_ok=True)
        (fresh.data / name).write_bytes(content)
    assert "rolled back" in said(verify(fresh.data))
    # Whoever rolls back the whole data folder is found out by an anchor alone.
    write_head(fresh.data, max(signed_lines(fresh), key=lambda line: line.number))
    assert verify(fresh.data).ok
    assert "rolled back" in said(verify(fresh.data, anchor=anchor))
    head_path(fresh.data).write_text("{}")
    assert "holds no signed statement" in said(verify(fresh.data))


def signed_lines(journal: Journal) -> list[Signed]:
    found = []
    for lines in lines_on_disk(journal.data).values():
        found += [line for line in map(decode, lines) if isinstance(line, Signed)]
    return found


def test_anchors_agree_with_an_honest_journal(fresh: Journal, tmp_path: Path) -> None:
    statements = [statement_of(line) for line in signed_lines(fresh)]
    assert len(statements) > 3
    anchor = tmp_path / "anchors"
    anchor.write_bytes(b"\n".join(map(msgspec.json.encode, statements)) + b"\n")
    report = verify(fresh.data, anchor=anchor)
    assert (report.ok, report.anchors) == (True, len(statements))
    anchor.write_bytes(msgspec.json.format(msgspec.json.encode(statements[0])))
    assert verify(fresh.data, anchor=anchor).anchors == 1
    forged = msgspec.structs.replace(statements[0], number=99)
    anchor.write_bytes(msgspec.json.encode(forged))
    assert "signature is wrong" in said(verify(fresh.data, anchor=anchor))
    for text in ("", "nonsense", '{"number": 1}'):
        anchor.write_text(text)
        with pytest.raises(JournalError, match="what `chatvault audit head` printed"):
            verify(fresh.data, anchor=anchor)
    with pytest.raises(JournalError, match="cannot be read"):
        verify(fresh.data, anchor=tmp_path / "none")


def forge(journal: Journal, signer: Signer) -> None:
    """Rewrite history as somebody can who has a key: every line's time moved, all heads signed anew."""
    known: dict[str, str] = {}
    order = sorted(journal.lines, key=lambda chain: (not chain.startswith("worker"), chain))
    for chain in order:
        prev, out = "", b""
        for raw in journal.lines[chain]:
            line = decode(raw)
            line.prev = prev
            line.at += 1
            if isinstance(line, Signed):
                renamed = {
                    name: (seq, known.get(f"{name}.{seq}", digest))
                    for name, (seq, digest) in line.heads.items()
                }
                signed = signer.sign(renamed, line.at, line.number)
                signed.seq, signed.prev = line.seq, prev
                line = signed
            elif isinstance(line, Sealed):
                line.digest = known.get(f"{line.chain}.{line.last}", line.digest)
            elif line.seq == 1:
                line = msgspec.structs.replace(line, heads={})
            text, prev = frame(line)
            known[f"{chain}.{line.seq}"] = prev
            out += text
        segments = chains(journal.data / "journal")[chain]
        sizes = [len(lines) for lines in split(journal, chain)]
        lines = out.splitlines(keepends=True)
        for segment, size in zip(segments, sizes, strict=True):
            part, lines = b"".join(lines[:size]), lines[size:]
            segment.path.write_bytes(gzip.compress(part) if segment.compressed else part)


def split(journal: Journal, chain: str) -> list[list[bytes]]:
    out = []
    for segment in chains(journal.data / "journal")[chain]:
        content = segment.path.read_bytes()
        out.append((gzip.decompress(content) if segment.compressed else content).splitlines(keepends=True))
    return out


def test_a_thief_of_the_key_is_found_by_an_anchor_alone(fresh: Journal, tmp_path: Path) -> None:
    key = own_key(fresh.data)
    assert key is not None
    anchor = tmp_path / "anchor"
    anchor.write_bytes(msgspec.json.encode(head(fresh.data)))
    forge(fresh, Signer(key))
    write_head(fresh.data, max(signed_lines(fresh), key=lambda line: line.number))
    report = verify(fresh.data, key=key.public.fingerprint)
    assert report.ok, report.text()
    report = verify(fresh.data, anchor=anchor)
    assert "written anew" in said(report)
    assert report.anchors == 0


def test_another_key_is_believed_only_by_those_who_believe_the_folder(fresh: Journal, tmp_path: Path) -> None:
    true = own_key(fresh.data)
    assert true is not None
    thief = signing_key(tmp_path / "thief")
    forge(fresh, Signer(thief))
    write_head(fresh.data, max(signed_lines(fresh), key=lambda line: line.number))
    report = verify(fresh.data)
    assert "by a key nobody knows" in said(report)
    public_path(fresh.data).write_bytes(thief.public.pem())
    assert "not by" in said(verify(fresh.data)), "the folder's own key is not the one that signed"
    secret_path(fresh.data).unlink()
    report = verify(fresh.data)
    assert report.ok
    assert "give --key to be sure" in report.text()
    assert "has the fingerprint" in said(verify(fresh.data, key=true.public.fingerprint))
    assert verify(fresh.data, key=thief.public.fingerprint).ok


def test_a_pinned_key_proves_what_it_signed(fresh: Journal) -> None:
    key = own_key(fresh.data)
    assert key is not None
    report = verify(fresh.data, key=key.public.fingerprint)
    assert report.ok
    assert report.key == key.public.fingerprint
    assert {chain.chain: chain.signed for chain in report.chains} == fresh.signed


def test_a_key_that_was_replaced_leaves_a_journal_that_verifies(fresh: Journal) -> None:
    secret_path(fresh.data).unlink()

    async def go_on() -> str:
        keeper = await JournalKeeper.open(fresh.data, SETTINGS, version="test")
        fingerprint = keeper.fingerprint
        await keeper.close()
        return fingerprint

    fingerprint = asyncio.run(go_on())
    for key in (None, fingerprint):
        report = verify(fresh.data, key=key)
        assert report.ok, report.text()
        assert report.key == fingerprint
        assert all(chain.signed >= fresh.signed.get(chain.chain, 0) for chain in report.chains)


def test_a_journal_whose_signatures_are_gone_is_not_verified(fresh: Journal) -> None:
    for path in (fresh.data / "journal").glob("control-*"):
        path.unlink()
    head_path(fresh.data).unlink()
    report = verify(fresh.data)
    assert "nothing is signed" in said(report)
    assert "nothing is proven" in report.text()


def test_an_empty_folder_has_nothing_to_find(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert report.ok
    assert report.chains == []
    assert "nothing is proven" in report.text()


async def removed(data: Path, *, signed: bool) -> str:
    """A journal from which the first segment of a chain was removed, with a stub for it. The chain's name."""
    worker = open_writer(data, "worker0", AuditConfig(reserve=0, segment_size=1000))
    for number in range(6):
        worker.append(opened(str(number)))
        worker.append_reserved(closed(str(number)))
    keeper = await JournalKeeper.open(data, AuditConfig(reserve=0), version="test")
    await keeper.seal()
    path = next((data / "journal").glob(f"{worker.chain}.000001.*"))
    content = path.read_bytes() if path.suffix == ".jsonl" else gzip.decompress(path.read_bytes())
    lines = content.splitlines()
    last = json.loads(lines[-1])
    keeper.writer.append(
        Sealed(
            at=1,
            chain=worker.chain,
            segment=1,
            first=1,
            last=last["seq"],
            digest=last["digest"],
            deleted=True,
        )
    )
    if signed:
        await keeper.sign()
    path.unlink()
    die(keeper.writer)
    die(worker)
    return worker.chain


def test_a_removed_segment_needs_a_signed_stub(tmp_path: Path) -> None:
    chain = asyncio.run(removed(tmp_path / "lawful", signed=True))
    report = verify(tmp_path / "lawful")
    assert report.ok, report.text()
    (worker,) = (one for one in report.chains if one.chain == chain)
    assert worker.signed == worker.lines
    asyncio.run(removed(tmp_path / "forged", signed=False))
    assert "missing at its start" in said(verify(tmp_path / "forged"))


def test_a_chain_that_goes_on_after_its_end_is_found(fresh: Journal) -> None:
    worker = next(chain for chain in fresh.lines if chain.startswith("worker0"))
    number = max(segment.number for segment in chains(fresh.data / "journal")[worker]) + 1
    last = decode(fresh.lines[worker][-1])
    more = opened("forged")
    more.seq, more.prev = last.seq + 1, json.loads(fresh.lines[worker][-1])["digest"]
    (fresh.data / "journal" / f"{worker}.{number:06d}.jsonl").write_bytes(frame(more)[0])
    report = check(fresh)
    assert "goes on after it had ended" in said(report)


def test_what_may_not_be_read_is_told(fresh: Journal) -> None:
    path = plain(fresh, "worker1")
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match="Run this as the user that owns the data folder"):
        verify(fresh.data)


def test_a_journal_in_use_verifies_at_any_moment(tmp_path: Path) -> None:
    async def work() -> None:
        keeper = await JournalKeeper.open(
            tmp_path, AuditConfig(reserve=0, segment_size=20_000), version="test"
        )
        worker = open_writer(tmp_path, "worker0", AuditConfig(reserve=0, segment_size=20_000))
        checking = asyncio.create_task(asyncio.to_thread(check_often))
        number = 0
        while not checking.done():
            worker.append(opened(str(number)))
            worker.append_reserved(closed(str(number)))
            number += 1
            if number % 5 == 0:
                await keeper.sign()
            if number % 50 == 0:
                await keeper.seal()
        assert await checking == ""
        await keeper.close()
        worker.close()

    def check_often() -> str:
        for _ in range(25):
            report = verify(tmp_path)
            if not report.ok:
                return report.text()
        return ""

    asyncio.run(work())
    assert os.listdir(tmp_path / "journal")
