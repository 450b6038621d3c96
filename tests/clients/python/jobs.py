"""What every client program here does: jobs come as lines of JSON, and each is answered by one line.

A job names what to do (`whole`, `streamed`, `loop`, `loop_streamed`, `structured`, `image`, `refused`, `broken`), the
model to ask, and the words to say. What the client made of the answer goes back: `text`, `calls` (each a tool's name
and what it was called with), `parts`, `value`; or `error`, with `status` if the client knows it.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

Got = dict[str, Any]
Do = Callable[[Any], Awaitable[Got]]

MOST = 9
"""Turns after which a loop is broken off."""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A picture of one pixel, in base64."""
PERSON = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def _one(field: str) -> dict[str, Any]:
    """The schema of a tool that takes one text."""
    return {
        "type": "object",
        "properties": {field: {"type": "string"}},
        "required": [field],
        "additionalProperties": False,
    }


PARAMETERS = {"weather": _one("city"), "clock": _one("zone")}


class Place(NamedTuple):
    """Where the gateway is, and what it is told."""

    url: str
    token: str


class Calls(list[tuple[str, dict[str, Any]]]):
    """The calls of tools so far."""

    def tools(self) -> list[Callable[[str], Awaitable[str]]]:
        """The tools as functions, which stay the same ones when a library copies what it is given."""

        async def weather(city: str) -> str:
            """How the weather is in a city."""
            return self.run("weather", {"city": city})

        async def clock(zone: str) -> str:
            """What time it is in a zone."""
            return self.run("clock", {"zone": zone})

        return [weather, clock]

    def run(self, name: str, arguments: dict[str, Any]) -> str:
        self.append((name, arguments))
        return f"sunny in {arguments['city']}" if name == "weather" else f"noon in {arguments['zone']}"


def serve(make: Callable[[Place], object]) -> None:
    """Answer jobs until there are no more, with the methods of what `make` makes."""
    asyncio.run(_serve(make))


async def _serve(make: Callable[[Place], object]) -> None:
    place = Place(sys.argv[2], sys.argv[3])
    client = make(place)
    _tell({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = json.loads(line)
        do: Do = getattr(client, job["do"])
        try:
            _tell(await do(job))
        except Exception as error:
            traceback.print_exc()
            _tell(_refused(error))


def _refused(error: BaseException) -> Got:
    """The innermost error that knows an HTTP status, since frameworks wrap what libraries raise."""
    first, found = f"{type(error).__name__}: {error}", None
    seen: BaseException | None = error
    while seen is not None:
        status = getattr(seen, "status_code", None) or getattr(seen, "code", None)
        if isinstance(status, int) and status > 0:
            found = status
        seen = seen.__cause__ or seen.__context__
    return {"error": first[:2000], "status": found}


def _tell(got: Got) -> None:
    sys.stdout.write(json.dumps(got) + "\n")
    sys.stdout.flush()
