import gzip
from pathlib import Path

from chatvault.audit.frame import digest_made, digest_of, frame
from chatvault.audit.heads import head_of, last_line, last_signed, plain_heads
from chatvault.audit.lines import Signed
from chatvault.audit.reader import chains
from chatvault.config.schema import AuditConfig
from tests.audit.samples import open_writer, opened


def test_a_head_is_found_in_the_segment_before_an_empty_one(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, settings=AuditConfig(reserve=0, segment_size=400))
    writer.append(opened())
    assert writer.segment > 1
    segments = chains(writer.folder)[writer.chain]
    assert segments[-1].path.stat().st_size == 0
    assert head_of(segments) == writer.head
    path = segments[-2].path
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert plain_heads(writer.folder) == {writer.chain: writer.head}


def test_a_head_that_is_not_as_it_was_written_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    path = folder / "worker0-x.000001.jsonl"
    raw, digest = frame(opened())
    path.write_bytes(raw)
    (segment,) = chains(folder)["worker0-x"]
    assert last_line(segment) == raw
    path.write_bytes(raw.replace(b"tok_1", b"tok_2"))
    assert head_of([segment]) is None
    nothing = b'{"type":"opened"}'
    for text in (b"short\n", nothing[:-1] + b',"digest":"' + b"\xff" * 64 + b'"}\n'):
        path.write_bytes(text)
        assert digest_of(text) is None
        assert head_of([segment]) is None
    text = nothing[:-1] + b',"digest":"' + b"0" * 64 + b'"}\n'
    text = text.replace(b"0" * 64, digest_made(text).encode())
    path.write_bytes(text)
    assert head_of([segment]) is None, "without a sequence number"
    path.unlink()
    assert last_line(segment) is None
    assert last_signed([segment]) is None
    packed = folder / "worker0-x.000001.jsonl.gz"
    packed.write_bytes(gzip.compress(raw)[:-4])
    (segment,) = chains(folder)["worker0-x"]
    assert last_line(segment) is None
    assert last_signed([segment]) is None
    assert len(digest) == 64


def test_the_last_signed_line_is_found_behind_what_only_looks_like_one(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    path = folder / "control-x.000001.jsonl"
    signed = [Signed(at=1, number=n, heads={}, key="k", signature="s") for n in (1, 2)]
    looks = b'{"type":"signed","number":3}\n'
    path.write_bytes(b"".join(frame(line)[0] for line in signed) + looks + b'{"type":"signed","torn')
    found = last_signed(chains(folder)["control-x"])
    assert found is not None
    assert found.number == 2
