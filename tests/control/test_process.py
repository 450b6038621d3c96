"""The control process whole: real sockets, a real vault, a real journal."""

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chatvault.access.credential import digest
from chatvault.access.grant import Whose
from chatvault.audit.lines import Admin, Closed, Refused
from chatvault.audit.reader import ChainReader, chains
from chatvault.config.runtime import ADMIN_SOCKET, FEED_SOCKET, runtime_dir
from chatvault.config.schema import ServerConfig, TokensConfig
from chatvault.config.snapshot import Snapshot
from chatvault.control.feed_server import Pace
from chatvault.control.options import ControlOptions, Resolved
from chatvault.control.process import run_control
from chatvault.core.errors import OperatorError
from chatvault.core.secrets import Secret
from chatvault.feed.messages import Revoke, Welcome
from chatvault.sdk.control import ControlClient, Refusal
from tests.control.worker import connected


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    runtime_dir(folder)
    yield folder
    shutil.rmtree(runtime_dir(folder))


class Running:
    def __init__(self, options: ControlOptions) -> None:
        self.options = options
        self.stop = asyncio.Event()
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        return await asyncio.to_thread(
            lambda: ControlClient(self.options.data_dir).request(method, path, body)
        )


@asynccontextmanager
async def control(data: Path, **more: Any) -> AsyncIterator[Running]:
    async def resolve() -> Snapshot:
        return Snapshot(version=1)

    settings: dict[str, Any] = {
        "data_dir": data,
        "runtime": await asyncio.to_thread(runtime_dir, data),
        "snapshot": Snapshot(version=1),
        "resolve": resolve,
        "version": "0.1",
        "pace": Pace(heartbeat=0.5, silence=1.5, patience=0.3),
    }
    running = Running(ControlOptions(**{**settings, **more}))
    task = asyncio.create_task(run_control(running.options, running.told.put_nowait, running.stop))
    try:
        first = asyncio.create_task(running.told.get())
        await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED, timeout=15)
        if task.done():
            first.cancel()
            task.result()
        running.told.put_nowait(await first)
        yield running
    finally:
        running.stop.set()
        await asyncio.wait({task}, timeout=15)
    task.result()


def lines(data: Path) -> list[Admin | Closed]:
    found: list[Admin | Closed] = []
    for chain in chains(data / "journal"):
        with ChainReader(data / "journal", chain, check=True) as reader:
            found += [line for line, *_ in reader if isinstance(line, Admin | Closed)]
    return found


async def eventually(true: Callable[[], Awaitable[bool]], timeout: float = 5.0) -> None:
    async with asyncio.timeout(timeout):
        while not await true():
            await asyncio.sleep(0.05)


def _noted(data: Path) -> list[object]:
    connection = sqlite3.connect(data / "vault.db")
    try:
        return connection.execute("SELECT * FROM meta WHERE key = 'first_start'").fetchall()
    finally:
        connection.close()


async def test_tokens_that_expired_long_ago_are_removed_on_record(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatvault.control.cleanup._FIRST", 0.1)
    monkeypatch.setattr("chatvault.control.cleanup._EVERY", 0.1)
    kept = Snapshot(version=1, tokens=TokensConfig(keep_expired=0.2))
    async with control(data, snapshot=kept) as running:
        made = await running.ask("POST", "/manage/tokens", {"name": "n", "duration_hours": 1e-7})
        removed = made["token_id"]

        async def gone() -> bool:
            listed = (await running.ask("GET", "/manage/tokens"))["data"]
            return removed not in [token["token_id"] for token in listed]

        await eventually(gone)
    (line,) = [
        line for line in await asyncio.to_thread(lines, data) if getattr(line, "what", "") == "token.remove"
    ]
    assert isinstance(line, Admin)
    assert (line.who, (line.before or {})["tokens"]) == ("control", [removed])


async def test_first_tokens_that_nobody_saw_are_made_anew(data: Path) -> None:
    async with control(data, told=asyncio.Event()) as running:
        unseen = (await running.told.get())["first"]
    seen = asyncio.Event()
    async with control(data, told=seen) as running:
        first = (await running.told.get())["first"]
        assert first["client_token"] != unseen["client_token"]
        listed = (await running.ask("GET", "/manage/tokens"))["data"]
        assert [token["revoked_at"] is None for token in listed].count(True) == 2
        seen.set()

        async def noted() -> bool:
            return bool(await asyncio.to_thread(_noted, data))

        await eventually(noted)
    async with control(data, told=asyncio.Event()) as running:
        assert (await running.told.get())["first"] is None


async def test_the_first_start_tells_its_tokens_and_the_second_none(data: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with control(data, listener=listener) as running:
        told = await running.told.get()
        assert told["ready"] is True
        first = told["first"]
        pepper = await asyncio.to_thread((data / "secrets" / "pepper").read_bytes)
        async with connected(running.options.runtime / FEED_SOCKET) as worker:
            welcome = await worker.next()
            assert welcome == Welcome(pepper=pepper.hex(), snapshot=Snapshot(version=1))
            granted = await worker.look_up(digest(pepper, first["client_token"].encode()))
            assert granted.grant is not None
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/health")).json() == {"status": "ok"}
            assert (await http.get("/manage/tokens")).status_code == 401
            known = {"authorization": f"Bearer {first['management_token']}"}
            listed = (await http.get("/manage/tokens", headers=known)).json()["data"]
    assert {token["kind"] for token in listed} == {"client", "management"}
    async with control(data) as running:
        assert await running.told.get() == {"ready": True, "first": None}
        assert len((await running.ask("GET", "/manage/tokens"))["data"]) == 2
    acts = [(line.who, line.what) for line in await asyncio.to_thread(lines, data) if isinstance(line, Admin)]
    assert acts == [("control", "token.create")] * 2


async def test_failed_sign_ins_are_on_record_all_of_them(data: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/manage/tokens"
    async with control(data, listener=listener) as running:
        first = (await running.told.get())["first"]
        async with httpx2.AsyncClient() as http:
            for number in range(70):
                answer = await http.get(url, headers={"authorization": f"Bearer guess {number}"})
                assert answer.status_code == (401 if number < 60 else 429), number
            right = {"authorization": f"Bearer {first['management_token']}"}
            assert (await http.get(url, headers=right)).status_code == 429, "it has not opened before"
        assert "data" in await running.ask("GET", "/manage/tokens")
    counted, lines = await asyncio.to_thread(_sign_ins, data)
    assert counted == {"invalid_token": 60, "too_many_failures": 11}
    assert lines <= 16


def _sign_ins(data: Path) -> tuple[Counter[str], int]:
    """Refusals by code, and the lines that tell of them."""
    counted: Counter[str] = Counter()
    lines = 0
    for chain in chains(data / "journal"):
        with ChainReader(data / "journal", chain, check=True) as reader:
            for line, *_ in reader:
                if isinstance(line, Refused):
                    assert line.endpoint == "control"
                    lines += 1
                    for code, _, _, count in line.kinds or [(line.code, "", None, line.count)]:
                        counted[code] += count
    return counted, lines


async def test_the_owner_needs_no_token(data: Path) -> None:
    async with control(data, management_token=Secret("the operator's own management token")) as running:
        assert (await running.told.get())["first"]["management_token"] is None
        token = await running.ask("POST", "/manage/tokens", {"name": "n", "duration_hours": 24})
        assert token["token"].startswith("cv-")
        assert await running.ask("GET", f"/manage/tokens/{token['token_id']}") == {
            **{name: token[name] for name in token if name != "token"},
            "request_count": None,  # no recorder, no ledger
        }
        with pytest.raises(Refusal) as raised:
            await running.ask("GET", "/usage/none")
        assert (raised.value.http_status, raised.value.code) == (503, "ledger_missing")
        details = await running.ask("GET", "/health/details")
        assert details["databases"]["vault"] == "ok"
        assert details["journal"]["fault"] is None
    last = (await asyncio.to_thread(lines, data))[-1]
    assert isinstance(last, Admin)
    assert (last.who, last.what, last.subject) == ("owner", "token.create", token["token_id"])


async def test_a_worker_syncs_anew_with_a_control_that_returned(data: Path) -> None:
    async with control(data) as running:
        feed = running.options.runtime / FEED_SOCKET
        async with connected(feed) as worker:
            assert isinstance(await worker.next(), Welcome)
            token = await running.ask("POST", "/manage/tokens", {"name": "n"})
            assert await running.ask("DELETE", f"/manage/tokens/{token['token_id']}") is None
            assert await worker.next() == Revoke(push=2, whose=Whose(tokens=(token["token_id"],)))
    async with control(data), connected(feed) as worker:
        assert isinstance(await worker.next(), Welcome)
        assert await worker.next() == Revoke(push=2, whose=Whose(tokens=(token["token_id"],)))


DOOMED = """
import sys, socket, os
from pathlib import Path
from chatvault.audit.lines import Opened
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.feed.frames import frame
from chatvault.feed.messages import Hello
writer = ChainWriter.open(Path(sys.argv[1]) / "journal", "worker0", AuditConfig(), version="0")
writer.append(Opened(at=1, id="doomed", token="tok", project="p", endpoint="e", dialect="d", provider="x"))
feed = socket.socket(socket.AF_UNIX)
feed.connect(sys.argv[2])
feed.sendall(frame(Hello(worker=0, pid=os.getpid(), chain=writer.chain)))
feed.recv(10)
print("welcomed", flush=True)
feed.recv(1 << 20)
sys.stdin.read()
"""


async def test_what_a_killed_worker_left_open_is_closed(data: Path) -> None:
    async with control(data, pace=Pace()) as running:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            DOOMED,
            str(data),
            str(running.options.runtime / FEED_SOCKET),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdout is not None
        assert await asyncio.wait_for(worker.stdout.readline(), 10) == b"welcomed\n"
        worker.kill()
        await worker.wait()

        async def closed() -> bool:
            found = await asyncio.to_thread(lines, data)
            return any(isinstance(line, Closed) and line.id == "doomed" for line in found)

        await eventually(closed)
    [line] = [line for line in await asyncio.to_thread(lines, data) if isinstance(line, Closed)]
    assert line.state == "interrupted"


async def test_a_reload_that_was_asked_for_is_told(data: Path) -> None:
    answers: list[Snapshot | OperatorError] = [
        Snapshot(version=1, server=ServerConfig(port=4040)),
        OperatorError("config.yaml:1: no.", code="bad_config"),
    ]

    async def resolve() -> Resolved:
        answer = answers.pop(0)
        if isinstance(answer, OperatorError):
            raise answer
        return Resolved(answer)

    wanted = asyncio.Event()
    async with control(data, resolve=resolve, reload=wanted) as running:
        await running.told.get()
        wanted.set()
        told = await asyncio.wait_for(running.told.get(), 5)
        assert told == {"reloaded": {"version": 2, "unacknowledged": [], "restart_needed": ["server.port"]}}
        wanted.set()
        assert await asyncio.wait_for(running.told.get(), 5) == {"reload_failed": "config.yaml:1: no."}


async def test_a_damaged_vault_ends_it_with_advice(data: Path) -> None:
    data.mkdir()
    (data / "vault.db").write_bytes(b"no database " * 1000)
    with pytest.raises(OperatorError, match="Put a backup in its place"):
        async with control(data):
            pass


async def test_a_weak_management_token_ends_it_with_advice(data: Path) -> None:
    with pytest.raises(OperatorError, match="too short"):
        async with control(data, management_token=Secret("1234")):
            pass


async def test_a_folder_that_cannot_be_written_ends_it_with_advice(data: Path) -> None:
    data.write_text("a file is in the way")
    with pytest.raises(OperatorError, match="choose another with --data-dir"):
        async with control(data):
            pass


async def test_a_socket_left_by_a_killed_life_is_replaced(data: Path) -> None:
    runtime = await asyncio.to_thread(runtime_dir, data)
    for name in (FEED_SOCKET, ADMIN_SOCKET):
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(runtime / name))
        left.close()
    async with control(data) as running:
        assert (await running.ask("GET", "/health")) == {"status": "ok"}


def test_the_feed_is_there_before_anything_heavy_is_imported() -> None:
    program = (
        "import sys; import chatvault.control.process;"
        "heavy = {'sqlalchemy', 'fastapi', 'pydantic', 'uvicorn', 'alembic', 'cryptography'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
