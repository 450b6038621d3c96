"""A client in a process of its own: one job in, one answer out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatvault.bench.own_gateway import environ_without_providers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NODE = HERE / "node"
_WAIT = 60.0


class Program:
    """A program of `python/` or `node/`, which speaks as `python/jobs.py` says."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    async def do(self, what: str, model: str, say: str) -> dict[str, Any]:
        """What the client made of the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "model": model, "say": say}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.heard()

    async def heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(_WAIT):
            line = await self._process.stdout.readline()
        assert line.startswith(b"{"), f"the program ended, or said {line!r}:\n{self.complaints()}"
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def complaints(self) -> str:
        """The end of what it wrote to standard error."""
        return self._errors.read_text("utf-8", "replace")[-3000:]


@asynccontextmanager
async def program(words: list[str], folder: Path) -> AsyncIterator[Program]:
    """Runs it in an empty folder, without any provider's variables, and ends it."""
    errors = folder / "errors"
    with errors.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=folder,
            env=environ_without_providers() | {"HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            limit=1 << 24,
        )
    made = Program(process, errors)
    try:
        assert (await made.heard()) == {"ready": True}
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
