"""A whole gateway for a test: `chatvault serve` in processes of its own, and what is left behind on disk."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from chatvault.audit.findings import Report
from chatvault.audit.lines import AnyLine, Attempted, Closed, Opened, Refused
from chatvault.audit.reader import ChainReader, chains
from chatvault.audit.verify import verify
from chatvault.bench.own_gateway import environ_without_providers

_READY = re.compile(r"serves on (http://\S+)/v1, its control plane on (http://[^\s,]+),")
_TOKEN = re.compile(r"(Management|Client) token [^:]*:\s+(cv-\S+)")
READY_WITHIN = 20.0

Row = dict[str, Any]
T = TypeVar("T")


class Gateway:
    """Started and ended as often as the test likes; `home` is its working directory, `data` its data folder."""

    def __init__(
        self, home: Path, *, config: str = "", env: Mapping[str, str] | None = None, words: Sequence[str] = ()
    ) -> None:
        self.home = home
        self.data = home / "data"
        self.words = list(words)
        self.env = dict(env or {})
        self.url = ""
        self.admin = ""
        self.token = ""
        self.management = ""
        self.ready_after = 0.0
        """Seconds that the last start took."""
        self._process: asyncio.subprocess.Process | None = None
        self.configure(config)

    def configure(self, text: str) -> None:
        (self.home / "config.yaml").write_text(text, "utf-8")

    # --- life

    @property
    def pid(self) -> int:
        """Of the supervisor, which leads a process group of its own."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def spawn(self, *, preexec: Callable[[], None] | None = None) -> None:
        """Start, and wait for nothing."""
        command = [sys.executable, "-m", "chatvault", "serve", "--port", "0", "--admin-port", "0"]
        with (self.home / "out").open("ab") as out, (self.home / "err").open("ab") as err:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                "--data-dir",
                str(self.data),
                *self.words,
                cwd=self.home,
                env=environ_without_providers() | self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=preexec,
            )

    async def start(self, *, preexec: Callable[[], None] | None = None, within: float = READY_WITHIN) -> None:
        """Start, wait until it says that it serves, and learn the first tokens."""
        began = time.monotonic()
        seen = len(self.said("out"))
        await self.spawn(preexec=preexec)
        assert self._process is not None
        while (found := _READY.search(self.said("out")[seen:])) is None:
            if self._process.returncode is not None or time.monotonic() - began > within:
                raise AssertionError(
                    f"it did not start ({self._process.returncode}):\n{self.said('err')[-4000:]}"
                )
            await asyncio.sleep(0.01)
        self.ready_after = time.monotonic() - began
        self.url, self.admin = found[1], found[2]
        first = self.data / "first-start.txt"
        if first.exists():
            tokens = dict(_TOKEN.findall(first.read_text()))
            self.token, self.management = tokens["Client"], tokens.get("Management", "")

    async def wait(self, timeout: float = 20.0) -> int:
        """Its exit status, once it has ended by itself."""
        assert self._process is not None
        async with asyncio.timeout(timeout):
            return await self._process.wait()

    async def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> int:
        self.signal(number)
        return await self.wait(timeout)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def signal(self, number: int) -> None:
        """To the supervisor alone."""
        os.kill(self.pid, number)

    async def crash(self) -> None:
        """SIGKILL to the supervisor; its family ends by itself."""
        self.signal(signal.SIGKILL)
        await self.wait()
        await eventually(lambda: not self.family(), 10.0)

    async def end(self) -> None:
        """Whatever the test has left running."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await self.wait(15)
        for pid in self.family().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process.returncode is None:
            await self.wait()

    # --- its processes

    def family(self) -> dict[str, int]:
        """Process ids by name (`worker0`, `control`, ...), without the supervisor. One that has just begun has
        no name yet and counts as `?`."""
        found: dict[str, int] = {}
        for pid, group, name in processes():
            if self._process is not None and group == self._process.pid != pid:
                found[name.removeprefix("cv-") if name.startswith("cv-") else "?"] = pid
        return found

    async def member(self, name: str, *, but: int | None = None, timeout: float = 10.0) -> int:
        """The process of that name, as soon as there is one (another than `but`)."""

        def there() -> int | None:
            pid = self.family().get(name)
            return None if pid == but else pid

        return await eventually(there, timeout)

    # --- talking to it

    @asynccontextmanager
    async def client(self, token: str | None = None) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {"authorization": f"Bearer {token or self.token}"}
        async with httpx2.AsyncClient(
            base_url=f"{self.url}/v1",
            headers=headers,
            timeout=httpx2.Timeout(20.0),
            trust_env=False,
            verify=False,
        ) as client:
            yield client

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {"authorization": f"Bearer {self.management}"}
        async with httpx2.AsyncClient(
            base_url=self.admin, headers=headers, timeout=httpx2.Timeout(20.0), trust_env=False, verify=False
        ) as client:
            yield client

    async def make_token(self, **wanted: object) -> tuple[str, str]:
        """A new token, and its id."""
        async with self.operator() as operator:
            made = await operator.post("/manage/tokens", json={"name": "test", **wanted})
            assert made.status_code == 201, made.text
            return made.json()["token"], made.json()["token_id"]

    async def health(self) -> dict[str, Any]:
        async with self.operator() as operator:
            found: dict[str, Any] = (await operator.get("/health/details")).json()
            return found

    # --- what it leaves behind

    def said(self, where: str) -> str:
        """What it wrote to `out` or `err`, in all its lives."""
        try:
            return (self.home / where).read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    async def lines(self) -> list[AnyLine]:
        """All lines of the journal, each chain checked as it is read."""
        return await asyncio.to_thread(_lines, self.data / "journal")

    async def calls(self) -> "Calls":
        return Calls(await self.lines())

    async def rows(self) -> list[Row]:
        """The ledger, by id."""
        return await asyncio.to_thread(read_ledger, self.data / "chatvault.db")

    async def row(self, id: str, timeout: float = 10.0) -> Row:
        """The ledger's row of a call, once it is there."""

        async def found() -> Row | None:
            return next((row for row in await self.rows() if row["id"] == id), None)

        return await eventually_async(found, timeout)

    async def level(self, timeout: float = 15.0) -> list[Row]:
        """The ledger, once it has a row for each call on record that is over, and no call is open."""
        rows: list[Row] = []

        async def true() -> bool:
            nonlocal rows
            calls = await self.calls()
            rows = await self.rows()
            over = calls.closed.keys() | calls.refused
            return calls.opened.keys() == calls.closed.keys() and {row["id"] for row in rows} == over

        await eventually_async(true, timeout)
        return rows

    async def verify(self) -> Report:
        report = await asyncio.to_thread(verify, self.data)
        assert report.ok, report.text()
        return report


class Calls:
    """The journal's lines about calls, by the call's id. Raises AssertionError for a call that is opened or
    closed twice, or closed without having been opened."""

    def __init__(self, lines: Sequence[AnyLine]) -> None:
        self.opened: dict[str, Opened] = {}
        self.closed: dict[str, Closed] = {}
        self.attempts: dict[str, int] = {}
        self.refused: set[str] = set()
        for line in lines:
            if isinstance(line, Opened):
                assert line.id not in self.opened, f"opened twice: {line.id}"
                self.opened[line.id] = line
            elif isinstance(line, Attempted):
                self.attempts[line.id] = line.number
            elif isinstance(line, Refused):
                self.refused.add(line.id)
        for line in lines:
            if isinstance(line, Closed):
                assert line.id in self.opened, f"closed, and never opened: {line.id}"
                assert line.id not in self.closed, f"closed twice: {line.id}"
                self.closed[line.id] = line


def _lines(folder: Path) -> list[AnyLine]:
    found: list[AnyLine] = []
    for chain in chains(folder):
        with ChainReader(folder, chain, check=True) as reader:
            found += [line for line, *_ in reader]
    return found


def read_ledger(path: Path) -> list[Row]:
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM usage_logs ORDER BY id")]
    except sqlite3.OperationalError:  # it is being made just now
        return []
    finally:
        connection.close()


def processes() -> Iterator[tuple[int, int, str]]:
    """Process id, group and name of all that live."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path(f"/proc/{entry}/stat").read_text("utf-8", "replace")
        except OSError:
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        if fields[0] not in "ZX":
            yield int(entry), int(fields[2]), name


async def eventually(found: Callable[[], T | None], timeout: float = 10.0) -> T:
    """What `found` gives as soon as it gives something."""

    async def asked() -> T | None:
        return found()

    return await eventually_async(asked, timeout)


async def eventually_async(found: Callable[[], Awaitable[T | None]], timeout: float = 10.0) -> T:
    until = time.monotonic() + timeout
    while not (value := await found()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout:g} s: {found}")
        await asyncio.sleep(0.03)
    return value


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def chat(model: str, text: str = "hello", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def events(text: str) -> list[Any]:
    """The data of a stream's events; `[DONE]` as it stands."""
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]
