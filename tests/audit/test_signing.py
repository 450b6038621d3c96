import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chatvault.audit.keys import own_key, public_keys, public_path, secret_path, signing_key
from chatvault.audit.lines import Heads
from chatvault.audit.signing import (
    Signer,
    canonical,
    head,
    head_path,
    is_genuine,
    newest_signed,
    read_head,
    write_head,
)
from chatvault.core.errors import JournalError
from tests.audit.samples import open_writer

DIGEST = "ab" * 32
HEADS: Heads = {"worker1-x": (12, DIGEST), "control-y": (3, DIGEST)}


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = signing_key(tmp_path)
    again = signing_key(tmp_path)
    assert first.public.fingerprint == again.public.fingerprint
    assert first.public.fingerprint.startswith("SHA256:")
    assert len(first.public.fingerprint) == 7 + 43
    assert stat.S_IMODE(secret_path(tmp_path).stat().st_mode) == 0o600
    assert list(public_keys(tmp_path)) == [first.public.fingerprint]


def test_a_new_key_keeps_the_old_public_one(tmp_path: Path) -> None:
    old = signing_key(tmp_path)
    secret_path(tmp_path).unlink()
    new = signing_key(tmp_path)
    assert list(public_keys(tmp_path)) == [old.public.fingerprint, new.public.fingerprint]


def test_damaged_keys_are_told(tmp_path: Path) -> None:
    assert own_key(tmp_path) is None
    assert public_keys(tmp_path) == {}
    signing_key(tmp_path)
    secret_path(tmp_path).write_text("not a key")
    with pytest.raises(JournalError, match="no private key"):
        signing_key(tmp_path)
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "x25519"], capture_output=True, check=True)
    secret_path(tmp_path).write_bytes(made.stdout)
    with pytest.raises(JournalError, match="not an Ed25519 key"):
        signing_key(tmp_path)
    block = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    public_path(tmp_path).write_text(block)
    assert public_keys(tmp_path) == {}
    secret_path(tmp_path).unlink()
    secret_path(tmp_path).mkdir()
    with pytest.raises(JournalError, match="cannot be used"):
        signing_key(tmp_path)


def test_the_canonical_text_is_what_the_docs_say() -> None:
    assert canonical(HEADS, 1_700_000_000_000_000, 7).decode() == (
        "chatvault journal heads 1\n"
        "number 7\n"
        "at 1700000000000000\n"
        f"control-y 3 {DIGEST}\n"
        f"worker1-x 12 {DIGEST}\n"
    )


def test_openssl_can_check_a_signature(tmp_path: Path) -> None:
    line = Signer(signing_key(tmp_path)).sign(HEADS, 5, 1)
    (tmp_path / "text").write_bytes(canonical(line.heads, line.at, line.number))
    (tmp_path / "signature").write_bytes(bytes.fromhex(line.signature))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public_path(tmp_path)), "-rawin"]
    files = ["-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "signature")]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr


def test_every_part_of_a_statement_is_signed(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    keys = {key.public.fingerprint: key.public}
    line = Signer(key).sign(HEADS, 5, 1)
    assert is_genuine(line, keys)
    assert not is_genuine(line, {})
    for change in (
        {"number": 2},
        {"at": 6},
        {"heads": {**HEADS, "control-y": (4, DIGEST)}},
        {"heads": {"control-y": (3, DIGEST)}},
        {"signature": "00" * 64},
        {"signature": "none"},
        {"key": "SHA256:other"},
        # The same text, were names allowed to hold newlines.
        {"heads": {f"control-y 3 {DIGEST}\nworker1-x": (12, DIGEST)}},
        {"heads": {"control-y": (3, f"{DIGEST}\nworker1-x 12 {DIGEST}")}},
    ):
        changed = msgspec.structs.replace(line, **change)
        assert not is_genuine(changed, keys), change


def test_the_newest_statement_is_found_in_the_journal_or_beside_it(tmp_path: Path) -> None:
    signer = Signer(signing_key(tmp_path))
    assert head(tmp_path) is None
    first = open_writer(tmp_path, "control")
    lines = [signer.sign({first.chain: first.head}, 5, number) for number in (1, 2)]
    for line in lines:
        first.append(line)
    second = open_writer(tmp_path, "control")
    found = newest_signed(tmp_path / "journal")
    assert found is not None
    assert found.number == 2
    write_head(tmp_path, lines[0])
    newest = head(tmp_path)
    assert newest is not None
    assert newest.number == 2, "the journal's, for what lies beside it is older"
    ahead = signer.sign({second.chain: second.head}, 6, 3)
    write_head(tmp_path, ahead)
    newest = head(tmp_path)
    assert newest is not None
    assert newest.number == 3
    head_path(tmp_path).write_text("nonsense")
    with pytest.raises(ValueError, match="no signed statement"):
        read_head(tmp_path)
    newest = head(tmp_path)
    assert newest is not None
    assert newest.number == 2


def test_the_writers_side_imports_no_cryptography() -> None:
    names = "writer reader durable heads segments reserve private frame lines scan keys signing redaction"
    imports = "\n".join(f"import chatvault.audit.{name}" for name in names.split())
    heavy = "{'cryptography', 'fastapi', 'sqlalchemy', 'pydantic', 'yaml'} & set(sys.modules)"
    code = f"import sys\n{imports}\nassert not {heavy}"
    subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=30, env={"PYTHONPATH": ":".join(sys.path)}
    )
