import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from chatvault.audit.frame import decode, encode
from chatvault.audit.lines import AnyLine, Line, Sealed

DOCS = Path(__file__).resolve().parents[2] / "docs" / "journal.md"
KINDS: tuple[type[Line], ...] = get_args(AnyLine)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_docs_name_every_member_of_every_line(kind: type[Line]) -> None:
    tag = kind.__struct_config__.tag
    (row,) = (row for row in DOCS.read_text().splitlines() if row.startswith(f"| `{tag}` |"))
    named = set(re.findall(r"`([a-z_]+)`", row.split("|")[3]))
    common = {field.encode_name for field in msgspec.structs.fields(Line)}
    members = {field.encode_name for field in msgspec.structs.fields(kind)} - common
    assert named == members
    assert "digest" not in members, "that is every line's own"


def test_a_seal_keeps_the_digest_of_its_segment() -> None:
    line = Sealed(at=1, chain="c", segment=1, first=1, last=2, digest="d")
    read = decode(encode(line)[:-1] + b',"digest":"own"}')
    assert isinstance(read, Sealed)
    assert read.digest == "d"
