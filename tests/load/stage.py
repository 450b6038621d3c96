"""A gateway with everything on, and what it is measured between: providers of several kinds, and a load generator."""

import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chatvault.bench.load import Order, Outcome
from chatvault.bench.own_gateway import OwnGateway, environ_without_providers
from chatvault.bench.processes import Helper, Load, rss_mb
from tests.load.client import Ask
from tests.net.certificates import make_certificates

EVENTS: Final = 100
"""Content events of a stream of the benchmark's provider; its whole stream has four more."""
_FILES: Final = 4096
"""Open files that a thousand clients and their provider need, and some."""
_USUAL: Final = 1024
"""Open files that a shell allows its programs on most systems."""
_CONFIG: Final = """\
providers:
  sim: {{base_url: "http://127.0.0.1:{sim}/v1", api_key: stand-in}}
  tls: {{base_url: "https://localhost:{tls}/v1", api_key: stand-in, ca_file: "{ca}"}}
  bench: {{base_url: "http://127.0.0.1:{bench}/v1", api_key: stand-in}}
prices:
  sim/*: {{input: 1, output: 4}}
  tls/*: {{input: 1, output: 4}}
  bench/*: {{input: 1, output: 4}}
"""


class Simulated:
    """The simulated provider in a process of its own. `words` are its options."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chatvault.fake", *words],
            stdout=subprocess.PIPE,
            env=environ_without_providers(),
        )
        self.port = 0

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline().decode().rpartition(":")[2])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Stage:
    """`sim` and `tls` are simulated providers, `bench` is the benchmark's, which costs next to nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            was = resource.getrlimit(resource.RLIMIT_NOFILE)
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, was)
            limit_files(_FILES)
            certificates = make_certificates(self._folder)
            pem = str(certificates.server)
            self.sim = stack.enter_context(Simulated()).port
            tls = stack.enter_context(Simulated("--tls-cert", pem, "--tls-key", pem)).port
            self.bench = int(stack.enter_context(Helper("upstream", [str(EVENTS), "0"])).hear())
            self._load = Load(stack.enter_context(Helper("load")))
            config = _CONFIG.format(sim=self.sim, tls=tls, bench=self.bench, ca=certificates.ca)
            limit_files(_USUAL)  # the gateway is to take care of itself
            try:
                self.gateway = stack.enter_context(OwnGateway(config=config))
            finally:
                limit_files(_FILES)
            self.port = int(self.gateway.url.rpartition(":")[2])
            self.token = str(self.gateway.token("load")["token"])
            worker = self.gateway.worker_pid()
            assert worker is not None, self.gateway.log()
            self.worker = worker
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def ask(self, model: str, text: str = "hello") -> Ask:
        """A stream of the gateway."""
        return Ask(port=self.port, token=self.token, model=model, text=text)

    def calls(
        self, calls: int, *, streamed: bool = False, connections: int = 32, direct: bool = False
    ) -> Outcome:
        """So many, of the gateway, or of its provider directly."""
        return self._load(
            Order(
                port=self.bench if direct else self.port,
                token=self.token,
                model="bench/stand-in",
                streamed=streamed,
                connections=connections,
                seconds=120,
                calls=calls,
            )
        )

    @property
    def ledger(self) -> Path:
        return self.gateway.data_dir / "chatvault.db"

    @property
    def memory(self) -> float:
        """Of the worker, in MB (2^20 bytes)."""
        return rss_mb(self.worker)


def limit_files(number: int) -> None:
    """How many files this process may hold open, and those it starts from now on; as far as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard) if hard > 0 else number, hard))
