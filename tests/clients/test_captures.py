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

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.fake import FakeProvider
from chatvault.gateway.routes import find_endpoint
from tests.clients.stage import PROVIDERS, before_all
from tests.fake.raw import Heard
from tests.gateway.harness import KEY, Gate

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
            f"{file.parent.name}/{file.stem}",
            found["method"],
            found["path"],
            found["headers"],
            found.get("body"),
        )


def problem(heard: Heard) -> str | None:
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


_OPAQUE = (
    "store", "include", "client_metadata", "metadata", "prompt_cache_key", "service_tier", "thinking", "seed", "top_k",
)  # fmt: skip
"""Fields that some dialects have and others do not, under these names where they have."""

_MET: dict[str, Any] = {"store": False, "include": ["reasoning.encrypted_content"]}
"""What holds anyway: other providers keep nothing, and sealed thoughts always come."""


def unsaid(capture: Capture, heard: Heard, sent: bytes) -> list[str]:
    """Names of those fields of the request that neither reached the provider nor are listed as dropped."""
    dropped = heard.headers.get("x-chatvault-dropped", "").split(", ")
    told = {path.partition("[")[0].partition(".")[0] for path in dropped}
    reached = json.loads(sent).keys()
    asked = {name for name, value in capture.body.items() if name in _OPAQUE and _MET.get(name) != value}
    return sorted(asked - reached - told)


recorded = pytest.mark.skipif(not RECORDED, reason="CHATVAULT_RECORDED names no folder with clients/")


def sent(*, conversations: bool) -> list[Capture]:
    """Those that a provider of any dialect can answer, or the others (lists, embeddings). Azure's own library is not
    served: docs/clients.md."""
    chosen = []
    for capture in captures():
        path, mark, query = capture.path.partition("?")
        endpoint = find_endpoint(capture.method.encode(), path.encode(), (mark + query).encode())
        if not path.startswith("/openai/deployments/"):
            assert endpoint is not None, f"{capture.name}: nothing is at {path}"
            if (endpoint.conversation or endpoint.name == "messages.count_tokens") is conversations:
                chosen.append(capture)
    return chosen


@recorded
@pytest.mark.recorded
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_agents_and_libraries_send_is_answered_whole(tmp_path: Path, provider: str) -> None:
    found = await asyncio.to_thread(sent, conversations=True)
    assert len(found) > 50
    wrong: dict[str, str] = {}
    async with before_all(tmp_path, {each.model: f"{provider}/simulated" for each in found}) as (gate, fakes):
        for capture in found:
            heard = await gate.send(capture.request(gate))
            last = fakes[provider].last
            why = problem(heard)
            if why is None and last is not None and (lost := unsaid(capture, heard, last.body)):
                why = f"lost without a word: {lost}"
            if why is not None:
                wrong[capture.name] = why
        records = await gate.records()
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())
    assert {line.state for line in records.closed} == {"completed"}
    assert not records.refused


@recorded
@pytest.mark.recorded
async def test_what_else_they_ask_is_answered_by_a_provider_of_their_dialect(tmp_path: Path) -> None:
    found = await asyncio.to_thread(sent, conversations=False)
    assert found
    names = {each.model: "every/simulated-embedding" for each in found if each.model}
    async with FakeProvider(api_key=KEY) as fake:
        every = ProviderSnapshot(
            name="every", kind="fake", base_url=fake.base_url, headers={"authorization": f"Bearer {KEY}"}
        )
        async with before_all(tmp_path, names, every=every) as (gate, _):
            for capture in found:
                assert problem(await gate.send(capture.request(gate))) is None, capture.name
