"""`chatvault serve`: binds the ports, starts the processes, starts again what dies, drains on SIGTERM,
reloads on SIGHUP.

It does nothing else, so there is little it could die of. Its children die with it: each holds an end of a
link to it, and the lock on the data folder is inherited by all, so that the next gateway begins when the last
of them is gone.
"""

import asyncio
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from chatvault.app.link import Reload, Start, Told, encode
from chatvault.app.offspring import Offspring
from chatvault.app.options import (
    ControlStart,
    FakeStart,
    LongtailStart,
    RecorderStart,
    ServeOptions,
    TinyStart,
    WorkerStart,
)
from chatvault.app.place import listen, lock_data_dir
from chatvault.app.settings import TAIL, example_model, read_config, resolve_config
from chatvault.config.runtime import runtime_dir, runtime_places
from chatvault.config.schema import Config
from chatvault.config.snapshot import Snapshot
from chatvault.core.errors import OperatorError
from chatvault.providers.longtail import tails
from chatvault.providers.ollama import ollama_answers, ollama_url
from chatvault.providers.resolve import fake_wanted, google_accounts

log = logging.getLogger(__name__)

_PATIENCE: Final = 3.0
"""Seconds a child may take to end beyond its grace."""
_RECORDER_PATIENCE: Final = 10.0

Announce = Callable[["Family", dict[str, str] | None], None]
"""Called once all are ready: with the first start's tokens, if this is one."""


class Family:
    """All processes of one gateway."""

    def __init__(self, options: ServeOptions, config: Config, environ: dict[str, str]) -> None:
        self.options = options
        self.config = config
        self.environ = environ
        self.data_dir = Path(config.data_dir).absolute()
        self.first: dict[str, str] | None = None
        self.announce: Announce | None = None
        """Set once all are ready: tokens that are made after that are told at once."""
        self.ollama = ollama_answers(ollama_url(environ))
        self._runtime = runtime_places(self.data_dir)[0]
        self._tiny = _free_port() if options.tiny else 0
        self.own = {"tiny": f"http://127.0.0.1:{self._tiny}/v1"} if options.tiny else {}
        if options.fake or (not options.tiny and fake_wanted(config, environ, self.ollama)):
            self.own["fake"] = f"unix:{self._fake_socket}:/v1"
        self._tails = tails(config)
        for number, name in enumerate(self._tails):
            self.own[TAIL + name] = f"unix:{self._tail_socket(number)}:/v1"
        self.snapshot = resolve_config(config, environ, ollama=self.ollama, own=self.own)
        self.accounts = google_accounts(config, environ, self.snapshot)
        self._lock = lock_data_dir(self.data_dir)
        self._runtime = runtime_dir(self.data_dir)
        server = config.server
        self.data = listen(server.host, server.port, "--port (server.port)")
        self.admin = listen(server.admin_host, server.admin_port, "--admin-port (server.admin_port)")
        self.control = Offspring("control", self._control, self._heard, keep=(self._lock,), secrets=True)
        self.workers = [self._place(number) for number in range(server.workers)]
        self.recorder = Offspring("recorder", self._recorder, self._recorder_said, keep=(self._lock,))
        self.extras = []
        if "fake" in self.own:
            self.extras.append(Offspring("simulated provider", self._fake, _ignore, keep=(self._lock,)))
        for number, name in enumerate(self._tails):
            self.extras.append(self._tail_place(number, name))
        if options.tiny:
            self.extras.append(Offspring("tiny model", self._tiny_start, _ignore, keep=(self._lock,)))

    @property
    def port(self) -> int:
        """Where the data plane listens; of use where 0 was asked for."""
        return int(self.data.getsockname()[1])

    @property
    def admin_port(self) -> int:
        return int(self.admin.getsockname()[1])

    @property
    def members(self) -> list[Offspring]:
        return [self.control, *self.workers, self.recorder, *self.extras]

    # --- what each is told

    def _start(
        self, kind: str, told: msgspec.Struct, listeners: dict[str, int] | None = None, number: int = 0
    ) -> Start:
        return Start(kind, number, msgspec.Raw(encode(told)), listeners or {}, self.config.log_level)

    def _control(self) -> Start:
        told = ControlStart(
            data_dir=str(self.data_dir),
            runtime_dir=str(self._runtime),
            config_file=self.options.config_file,
            overrides=self.options.overrides,
            working_dir=os.getcwd(),
            ollama=self.ollama,
            own=self.own,
            management_token=self.environ.get("MANAGEMENT_TOKEN") or None,
            secrets=self.config.secrets,
            master_key=self.environ.get("CHATVAULT_MASTER_KEY") or None,
            snapshot=self.snapshot,
            accounts=self.accounts,
            budgets=self.config.budgets,
            webhooks=self.config.webhooks,
        )
        return self._start("control", told, {"admin": self.admin.fileno()})

    def _place(self, number: int) -> Offspring:
        return Offspring(f"worker {number}", lambda: self._worker(number), _ignore, keep=(self._lock,))

    def _worker(self, number: int) -> Start:
        told = WorkerStart(
            data_dir=str(self.data_dir),
            runtime_dir=str(self._runtime),
            snapshot=Snapshot(version=0, server=self.config.server, audit=self.config.audit),
        )
        return self._start("worker", told, {"data": self.data.fileno()}, number)

    def _recorder(self) -> Start:
        return self._start("recorder", RecorderStart(data_dir=str(self.data_dir)))

    def _fake(self) -> Start:
        self._fake_socket.unlink(missing_ok=True)
        return self._start("fake", FakeStart(socket=str(self._fake_socket)))

    def _tail_place(self, number: int, name: str) -> Offspring:
        def start() -> Start:
            told = LongtailStart(socket=str(self._tail_socket(number)), env=self._tails[name].env)
            return self._start("litellm", told, number=number)

        return Offspring(f"LiteLLM ({name})", start, _ignore, keep=(self._lock,))

    def _tail_socket(self, number: int) -> Path:
        return self._runtime / f"litellm{number}.sock"

    def _tiny_start(self) -> Start:
        return self._start("tiny", TinyStart(port=self._tiny))

    @property
    def _fake_socket(self) -> Path:
        return self._runtime / "fake.sock"

    # --- what they say

    def _heard(self, news: dict[str, object]) -> None:
        first = news.get("first")
        if isinstance(first, dict):
            self.first = {name: str(token) for name, token in first.items() if token is not None}
            self.tell_first()
        if "reloaded" in news:
            log.info("the configuration was read again and is in use: %s", news["reloaded"])
        elif "reload_failed" in news:
            log.error("the configuration was not changed: %s", news["reload_failed"])

    def _recorder_said(self, news: dict[str, object]) -> None:
        if news.get("error"):
            log.error("the ledger: %s", news["error"])

    def tell_first(self) -> None:
        """Control makes the first tokens anew when it is killed between having made and having told them."""
        if self.announce is None or self.first is None:
            return
        first, self.first = self.first, None
        first["model"] = example_model(self.snapshot)
        self.announce(self, first)
        self.control.send(Told())

    # --- life

    def reload(self) -> None:
        self.control.send(Reload())

    async def end(self, grace: float) -> None:
        """Workers first, with their grace; then control; the recorder last, once it has seen everything."""
        self.data.close()
        async with asyncio.TaskGroup() as group:
            for worker in self.workers:
                group.create_task(worker.stop(grace, _PATIENCE))
        await self.control.stop(0, _PATIENCE)
        await self.recorder.stop(0, _RECORDER_PATIENCE)
        async with asyncio.TaskGroup() as group:
            for extra in self.extras:
                group.create_task(extra.stop(0, _PATIENCE))
        self.admin.close()
        shutil.rmtree(self._runtime, ignore_errors=True)  # before the next gateway makes it
        os.close(self._lock)


def _ignore(news: dict[str, object]) -> None:
    """A child whose news are its readiness alone."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def serve(options: ServeOptions, announce: Announce) -> int:
    """Run a gateway until SIGTERM or SIGINT. Raises OperatorError where it cannot start."""
    config, environ = read_config(options, Path.cwd())
    logging.getLogger().setLevel(config.log_level.upper())
    family = Family(options, config, environ)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, asked_to_stop)
    loop.add_signal_handler(signal.SIGHUP, family.reload)
    try:
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(member.run()) for member in family.members]
            await _until_ready(family, stop, announce)
            await stop.wait()
            await _end(family, hurry, config.server.drain_timeout)
            for life in lives:
                life.cancel()
    except* OperatorError as errors:
        await family.end(0)
        raise errors.exceptions[0] from None
    return 0


async def _until_ready(family: Family, stop: asyncio.Event, announce: Announce) -> None:
    """Say that all serve, as soon as all do; return at once if it is to end before."""
    stopped = asyncio.create_task(stop.wait())
    ready = asyncio.create_task(_all_ready(family))
    try:
        await asyncio.wait((stopped, ready), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            family.announce = announce
            if family.first is None:
                announce(family, None)
            family.tell_first()
    finally:
        stopped.cancel()
        ready.cancel()


async def _all_ready(family: Family) -> None:
    for member in family.members:
        await member.ready.wait()


async def _end(family: Family, hurry: asyncio.Event, grace: float) -> None:
    """End in order; a second signal takes the grace away."""
    log.info("ending; open calls may take up to %g s", grace)
    ending = asyncio.create_task(family.end(grace))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait((ending, hurried), return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        ending.cancel()
        with suppress(asyncio.CancelledError):
            await ending
        await family.end(0)
    else:
        await ending
    hurried.cancel()
