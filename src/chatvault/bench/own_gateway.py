"""A gateway of one's own: `chatvault serve` in a process, in a folder that is gone afterwards. The benchmark, the demo
and the tests use it."""

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import chatvault
from chatvault.config.runtime import is_private, runtime_places
from chatvault.core.errors import ChatVaultError, OperatorError
from chatvault.providers.rows import ROWS
from chatvault.sdk.control import ControlClient

_READY: Final = re.compile(rb"ChatVault serves on (http://\S+)/v1")
_STARTING: Final = 20.0
_ENDING: Final = 15.0
_TAIL: Final = 4000
_STRANGE: Final = ("MANAGEMENT_TOKEN", "OLLAMA_HOST", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class OwnGateway:
    """Serves on free ports from `__enter__` on, and is ended, in order, by `__exit__`.

    `words` are further options of `serve`, `settings` variables (`CHATVAULT_...`), `config` the text of its
    config.yaml. Of the environment it gets nothing that would find it a provider or another configuration.
    """

    def __init__(
        self, words: Sequence[str] = (), settings: Mapping[str, str] | None = None, config: str | None = None
    ) -> None:
        self._words = words
        self._settings = dict(settings or {})
        self._config = config
        self._folder = tempfile.TemporaryDirectory(prefix="chatvault-", ignore_cleanup_errors=True)
        self.home = Path(self._folder.name)
        self.data_dir = self.home / "data"
        self.control = ControlClient(self.data_dir)
        self.url = ""
        """Of the data plane, as http://127.0.0.1:40123; a client's base URL is this and `/v1`."""
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
            self._await_ready()
        except BaseException:
            self.end()
            self._clean()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._clean()

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """The end of what the gateway had to say so far."""
        try:
            return (self.home / "log").read_text("utf-8", "replace")[-_TAIL:]
        except FileNotFoundError:
            return ""

    def token(self, name: str, hours: float = 1.0) -> dict[str, Any]:
        """A new client token, as the control plane answers, with a limit that is counted and never reached. Raises
        OperatorError."""
        wanted = {"name": name, "duration_hours": hours, "limits": {"requests_per_hour": 10**12}}
        made = self.control.request("POST", "/manage/tokens", wanted)
        assert isinstance(made, dict)
        return made

    def health(self) -> dict[str, Any]:
        """The state of all parts. Raises OperatorError."""
        found = self.control.request("GET", "/health/details")
        assert isinstance(found, dict)
        return found

    def worker_pid(self) -> int | None:
        """Of the first worker; None while there is none, or control cannot say."""
        try:
            worker = self.health()["workers"][0]
        except ChatVaultError:
            return None
        return int(worker["pid"]) if worker.get("connected") else None

    def end(self) -> int | None:
        """End it in order, by force where that takes too long; its exit status, None if it never began."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()  # its children end with it
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    def _start(self) -> None:
        if self._config is not None:
            (self.home / "config.yaml").write_text(self._config, "utf-8")
        self._log = open(self.home / "log", "wb")  # noqa: SIM115  closed by `_clean`
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "chatvault",
                "serve",
                "--port",
                "0",
                "--admin-port",
                "0",
                "--data-dir",
                str(self.data_dir),
                *self._words,
            ],
            cwd=self.home,
            env=environ_without_providers() | self._settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # a terminal's Ctrl-C is for whoever started this, who ends it in order
        )

    def _await_ready(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        said, until = b"", time.monotonic() + _STARTING
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (left := until - time.monotonic()) > 0 and selector.select(left):
                part = os.read(self._process.stdout.fileno(), 65536)
                said += part
                found = _READY.search(said)
                if found is not None:
                    self.url = found[1].decode()
                    return
                if not part:
                    break
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        why = self.log().strip() or "It said nothing."
        raise OperatorError(f"The gateway did not start.\n{why}", code="gateway_not_started")

    def _clean(self) -> None:
        if self._log is not None:
            self._log.close()
        for place in runtime_places(self.data_dir):
            if place.is_dir() and is_private(place):
                shutil.rmtree(place, ignore_errors=True)
        self._folder.cleanup()


def environ_without_providers() -> dict[str, str]:
    """This process's environment, without what says where providers are, and without settings of a gateway."""
    known = {name for row in ROWS.values() for name in row.variables}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in known and name.upper() not in _STRANGE and not name.startswith("CHATVAULT_")
    }
    source = str(Path(chatvault.__file__).parents[1])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH", ""))))
    kept["OLLAMA_HOST"] = "127.0.0.1:1"  # where nothing answers
    return kept
