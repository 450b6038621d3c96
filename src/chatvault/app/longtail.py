"""LiteLLM's server in a process of its own: on a unix socket that only workers reach."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from chatvault.control.sockets import listen_privately
from chatvault.longtail.library import load
from chatvault.longtail.server import Application


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the supervisor's business."""
        yield


async def serve_longtail(
    path: Path, environ: Mapping[str, str], tell: Callable[[dict[str, object]], None], stop: asyncio.Event
) -> None:
    """Serve on a socket at `path` until `stop`; `tell` hears `{"ready": True}` once it answers. Raises OperatorError
    where LiteLLM is not installed."""
    library = await asyncio.to_thread(load, environ)
    with await asyncio.to_thread(listen_privately, path) as listener:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        server = _Server(
            uvicorn.Config(
                Application(library),
                interface="asgi3",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=300,  # longer than a worker keeps a connection
                timeout_graceful_shutdown=1,
            )
        )
        loop = asyncio.get_running_loop()
        serving = loop.create_task(server.serve(sockets=[listener]))  # owned, as the next: awaited below
        stopping = loop.create_task(stop.wait())
        tell({"ready": True})
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        await serving
