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
from chatvault.control.options import ControlOptions, Resolved
from chatvault.control.process import run_control
from chatvault.core.secrets import Secret
from chatvault.providers.resolve import google_accounts


async def run(start: Start, life: Life) -> None:
    """Control until the supervisor ends it. Raises OperatorError."""
    told = msgspec.json.decode(start.options, type=ControlStart)
    reload = asyncio.Event()

    async def asked_to_reload() -> None:
        reload.set()

    async def resolve() -> Resolved:
        return await asyncio.to_thread(_again, told)

    life.on_reload = asked_to_reload
    listener = socket.socket(fileno=start.listeners["admin"])
    listener.setblocking(False)
    options = ControlOptions(
        data_dir=Path(told.data_dir),
        runtime=Path(told.runtime_dir),
        snapshot=told.snapshot,
        accounts=told.accounts,
        budgets=told.budgets,
        webhooks=told.webhooks,
        resolve=resolve,
        version=__version__,
        listener=listener,
        management_token=Secret(told.management_token) if told.management_token else None,
        secrets=told.secrets,
        master_key=Secret(told.master_key) if told.master_key else None,
        reload=reload,
        told=life.told,
    )
    await run_control(options, life.tell, life.stop)


def _again(told: ControlStart) -> Resolved:
    asked = ServeOptions(config_file=told.config_file, overrides=told.overrides)
    config, environ = read_config(asked, Path(told.working_dir))
    snapshot = resolve_config(config, environ, ollama=told.ollama, own=told.own)
    return Resolved(snapshot, google_accounts(config, environ, snapshot), config.budgets, config.webhooks)
