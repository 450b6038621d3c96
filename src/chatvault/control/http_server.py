"""Serves the control plane: uvicorn on sockets that are given, without signal handlers of its own."""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from chatvault.control.edge import App


class HttpServer(uvicorn.Server):
    """`run_on` serves until `stop`; `ready` is set once it listens. `keep_alive`: seconds a connection may idle."""

    def __init__(self, app: App, *, keep_alive: int = 30) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=keep_alive,
                timeout_graceful_shutdown=3,
            )
        )
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def run_on(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until `stop`. The sockets are closed then."""
        await self.serve(sockets=list(sockets))

    def stop(self) -> None:
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the composition root's business."""
        yield
