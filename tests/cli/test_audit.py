"""Verification from the shell, offline."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.core.errors import OperatorError
from tests.cli.conftest import call, recorded

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def copy(gateway: OwnGateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose journal holds calls, and is signed."""
    token = gateway.token("audit")["token"]
    for _ in range(3):
        recorded(gateway, call(gateway, token)[1])
    until = time.monotonic() + 10
    while gateway.health()["journal"]["unsigned_lines"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    folder = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(gateway.data_dir, folder)
    return folder


def test_a_running_gateway_verifies(gateway: OwnGateway, chatvault: Run, copy: Path) -> None:
    done = chatvault("audit", "verify", "--data-dir", str(gateway.data_dir))
    assert done.exit_code == 0
    assert "VERIFIED" in done.stdout


def test_for_machines(chatvault: Run, copy: Path) -> None:
    done = chatvault("audit", "verify", "--data-dir", str(copy), "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["ok"]
    assert sum(chain["signed"] for chain in report["chains"]) > 6


def test_tampering_is_status_1_and_names_the_line(chatvault: Run, copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(copy, folder)
    file = next((folder / "journal").glob("worker*.jsonl"))
    text = file.read_bytes()
    found = re.search(rb'"cost":(\d)', text)
    assert found is not None
    number = text[: found.start()].count(b"\n") + 1
    file.write_bytes(text[: found.start(1)] + (b"1" if found[1] != b"1" else b"2") + text[found.end(1) :])
    done = chatvault("audit", "verify", "--data-dir", str(folder))
    assert done.exit_code == 1
    assert f"{file.name}:{number}:" in done.stdout
    assert chatvault("audit", "verify", "--data-dir", str(folder), "--json").exit_code == 1


def test_an_anchor_finds_a_cut_journal(
    chatvault: Run, gateway: OwnGateway, copy: Path, tmp_path: Path
) -> None:
    token = gateway.token("anchor")["token"]
    call(gateway, token)
    anchor = tmp_path / "heads.jsonl"
    until = time.monotonic() + 10
    older = json.loads(chatvault("audit", "head", "--data-dir", str(copy)).stdout)
    while True:
        line = chatvault("audit", "head", "--data-dir", str(gateway.data_dir)).stdout
        if json.loads(line)["number"] > older["number"]:
            break
        assert time.monotonic() < until
        time.sleep(0.05)
    anchor.write_text(line)
    assert line.count("\n") == 1
    whole = chatvault("audit", "verify", "--data-dir", str(gateway.data_dir), "--anchor", str(anchor))
    assert whole.exit_code == 0, whole.stdout
    assert chatvault("audit", "verify", "--data-dir", str(copy), "--anchor", str(anchor)).exit_code == 1


def test_another_key_is_not_believed(chatvault: Run, copy: Path) -> None:
    assert chatvault("audit", "verify", "--data-dir", str(copy), "--key", "SHA256:someone").exit_code == 1
    key = json.loads(chatvault("audit", "head", "--data-dir", str(copy)).stdout)["key"]
    assert chatvault("audit", "verify", "--data-dir", str(copy), "--key", key).exit_code == 0


def test_without_a_journal(chatvault: Run, tmp_path: Path) -> None:
    for command in ("verify", "head"):
        done = chatvault("audit", command, "--data-dir", str(tmp_path))
        assert isinstance(done.exception, OperatorError)
        assert "--data-dir" in done.exception.message


def test_without_a_signature(chatvault: Run, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    done = chatvault("audit", "head", "--data-dir", str(tmp_path))
    assert done.exit_code == 1
    assert "Nothing is signed yet" in done.stderr


def test_an_anchor_that_is_none(chatvault: Run, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "anchor").write_text("nonsense")
    done = chatvault("audit", "verify", "--data-dir", str(copy), "--anchor", str(tmp_path / "anchor"))
    assert isinstance(done.exception, OperatorError)
