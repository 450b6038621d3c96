"""LiteLLM's server in a process of its own: on a unix socket that only workers reach."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from chatvault.control.http_server import HttpServer
from chatvault.control.sockets import listen_privately
from chatvault.longtail.library import load
from chatvault.longtail.server import Application

_KEEP_ALIVE: Final = 300
"""Seconds; longer than a worker keeps a connection."""


async def serve_longtail(
    path: Path, environ: Mapping[str, str], tell: Callable[[dict[str, object]], None], stop: asyncio.Event
) -> None:
    """Serve on a socket at `path` until `stop`; `tell` hears `{"ready": True}` once it answers. Raises OperatorError
    where LiteLLM is not installed."""
    library = await asyncio.to_thread(load, environ)
    with await asyncio.to_thread(listen_privately, path) as listener:
        server = HttpServer(Application(library), keep_alive=_KEEP_ALIVE)
        loop = asyncio.get_running_loop()
        serving = loop.create_task(server.run_on([listener]))  # owned, as the next: awaited below
        stopping = loop.create_task(stop.wait())
        await server.ready.wait()
        tell({"ready": True})
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.stop()
        await serving
