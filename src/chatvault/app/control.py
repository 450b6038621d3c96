"""The composition root of the control process."""

import asyncio
import socket
from pathlib import Path

import msgspec

from chatvault import __version__
from chatvault.app.child import Life
from chatvault.app.link import Start
from chatvault.app.options import ControlStart, ServeOptions
from chatvault.app.settings import read_config, resolve_config
from chatvault.config.snapshot import Snapshot
from chatvault.control.options import ControlOptions
from chatvault.control.process import run_control
from chatvault.core.secrets import Secret


async def run(start: Start, life: Life) -> None:
    """Control until the supervisor ends it. Raises OperatorError."""
    told = msgspec.json.decode(start.options, type=ControlStart)
    reload = asyncio.Event()

    async def asked_to_reload() -> None:
        reload.set()

    async def resolve() -> Snapshot:
        return await asyncio.to_thread(_again, told)

    life.on_reload = asked_to_reload
    listener = socket.socket(fileno=start.listeners["admin"])
    listener.setblocking(False)
    options = ControlOptions(
        data_dir=Path(told.data_dir),
        runtime=Path(told.runtime_dir),
        snapshot=told.snapshot,
        resolve=resolve,
        version=__version__,
        listener=listener,
        management_token=Secret(told.management_token) if told.management_token else None,
        reload=reload,
        told=life.told,
    )
    await run_control(options, life.tell, life.stop)


def _again(told: ControlStart) -> Snapshot:
    asked = ServeOptions(config_file=told.config_file, overrides=told.overrides)
    config, environ = read_config(asked, Path(told.working_dir))
    return resolve_config(config, environ, ollama=told.ollama, own=told.own)
