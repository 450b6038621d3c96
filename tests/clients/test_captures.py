"""What real agents and libraries sent, captured on the way: accepted whole, by path, header and body, and answered in
the client's own dialect, whatever the provider speaks."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chatvault.config.schema import ModelConfig
from chatvault.config.snapshot import ProviderSnapshot
from tests.clients.stage import PROVIDERS, before_all
from tests.fake.raw import Heard
from tests.gateway.harness import Gate

FOLDER = Path(os.environ.get("CHATVAULT_RECORDED", "")) / "clients"
RECORDED = bool(os.environ.get("CHATVAULT_RECORDED")) and FOLDER.is_dir()
_LEFT_OUT = frozenset(("host", "content-length", "connection", "transfer-encoding"))
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class Capture(msgspec.Struct, frozen=True):
    """One request as it was captured; its credentials were taken out."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def model(self) -> str:
        if ":" in self.path:
            return self.path.partition("/models/")[2].partition(":")[0]
        return str((self.body or {}).get("model", ""))

    def request(self, gate: Gate) -> bytes:
        lines = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _LEFT_OUT}
        for name in _CREDENTIALS:
            if name in lines:
                lines[name] = f"Bearer {gate.token}" if name == "authorization" else gate.token
        if not lines.keys() & set(_CREDENTIALS):
            lines["authorization"] = f"Bearer {gate.token}"  # Ollama's library sends none by itself
        body = b"" if self.body is None else json.dumps(self.body).encode()
        lines |= {"host": f"127.0.0.1:{gate.port}", "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def captures() -> Iterator[Capture]:
    for file in sorted(FOLDER.glob("*/*.json")):
        found = json.loads(file.read_text())
        yield Capture(
            f"{file.parent.name}/{file.stem}", found["method"], found["path"], found["headers"], found.get("body")
        )


def problem(heard: Heard, capture: Capture) -> str | None:
    """What is wrong with an answer: its status, or that it cannot be read; None if nothing is."""
    if heard.status != 200:
        return f"{heard.status} {heard.body[:300]!r}"
    if not heard.whole():
        return "the answer is not whole"
    try:
        kind = heard.headers["content-type"].partition(";")[0]
        if kind == "text/event-stream":
            values = [json.loads(line[5:]) for line in heard.body.decode().splitlines() if _is_data(line)]
        elif kind == "application/x-ndjson":
            values = [json.loads(line) for line in heard.body.splitlines()]
        else:
            values = [json.loads(heard.body)]
    except ValueError as error:
        return f"cannot be read: {error}"
    if not values or any("error" in value and value["error"] for value in values):
        return f"no answer: {values[-1:]}"
    return None


def _is_data(line: str) -> bool:
    return line.startswith("data:") and not line.endswith("[DONE]")


def carried_or_told(capture: Capture, heard: Heard, sent: bytes) -> list[str]:
    """Names of the request's own top-level fields that neither reached the provider nor are listed as dropped."""
    told = {path.partition("[")[0].partition(".")[0] for path in heard.headers.get("x-chatvault-dropped", "").split(", ")}
    return [name for name in capture.body if name in _OPAQUE and name.encode() not in sent and name not in told]


_OPAQUE = ("store", "include", "client_metadata", "metadata", "prompt_cache_key", "service_tier", "betas", "safetySettings")
"""Fields that one API alone has: they are carried by their name, or told."""


@pytest.mark.recorded
@pytest.mark.skipif(not RECORDED, reason="CHATVAULT_RECORDED names no folder with clients/")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_captured_request_is_answered(tmp_path: Path, provider: str) -> None:
    found = await asyncio.to_thread(lambda: list(captures()))
    assert len(found) > 50
    conversations = [each for each in found if _is_conversation(each)]
    names = {each.model: f"{provider}/simulated" for each in conversations}
    wrong: dict[str, str] = {}
    async with before_all(tmp_path, names) as (gate, fakes):
        for capture in conversations:
            fakes[provider].stats.clear()
            heard = await gate.send(capture.request(gate))
            last = fakes[provider].last
            why = problem(heard, capture)
            if why is None and last is not None and (lost := carried_or_told(capture, heard, last.body)):
                why = f"lost without a word: {lost}"
            if why is not None:
                wrong[capture.name] = why
        records = await gate.records()
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert {line.state for line in records.closed} == {"completed"}
    assert not records.refused


def _is_conversation(capture: Capture) -> bool:
    return not capture.path.endswith(("/models", "/embeddings", "/completions")) or capture.path.endswith("/chat/completions")


@pytest.mark.recorded
@pytest.mark.skipif(not RECORDED, reason="CHATVAULT_RECORDED names no folder with clients/")
async def test_everything_else_that_was_captured_is_answered_by_a_provider_of_the_dialect(tmp_path: Path) -> None:
    found = await asyncio.to_thread(lambda: [each for each in captures() if not _is_conversation(each)])
    assert found
    async with before_all(tmp_path, {each.model: "every/simulated" for each in found if each.model}) as (gate, _):
        for capture in found:
            assert problem(await gate.send(capture.request(gate)), capture) is None, capture.name
