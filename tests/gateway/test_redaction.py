"""Secrets that clients put where none belong: none of them reaches a file."""

import asyncio
import base64
import gzip
import json
from pathlib import Path

import pytest

from chatvault.config.schema import AuditConfig
from tests.fake.raw import chat, written
from tests.gateway.harness import CHAT, gateway

SECRETS = {
    "OpenAI": "sk-proj-Zq7canaryZq7canaryZq7",
    "ours": "cv-Zq7canaryZq7canaryZq7canaryZq7canary12",
    "GitHub": "ghp_Zq7canaryZq7canaryZq7canaryZq7canary",
    "AWS": "AKIAZQ7CANARYZQ7CANA",
    "Google": "AIzaZq7canaryZq7canaryZq7canaryZq7canary",
}


def spellings(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), raw[5:-2]]


def kept(folder: Path) -> bytes:
    data = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            data += gzip.decompress(raw) if path.suffix == ".gz" else raw
    return data


@pytest.mark.parametrize("bodies", ["none", "full"])
@pytest.mark.parametrize("kind", SECRETS)
async def test_no_secret_reaches_a_file(tmp_path: Path, kind: str, bodies: str) -> None:
    secret = SECRETS[kind]
    audit = AuditConfig(bodies=bodies, reserve=1 << 16)  # type: ignore[arg-type]
    async with gateway(tmp_path, audit=audit, default_provider=None) as gate:
        metadata = {
            "api_key": "hush",
            "note": f"use {secret} for it",
            secret: "x",
            "deep": {"list": [secret]},
        }
        heard = await gate.send(gate.post(chat("fake/echo", metadata=metadata)))
        assert heard.status == 200
        heard = await gate.send(
            gate.post(chat("fake/echo", user=secret), **{"user-agent": f"app/1 ({secret})"})
        )
        assert heard.status == 200
        said = chat("fake/echo")
        said["messages"] = [{"role": "user", "content": f"My key is {secret}. Keep it."}]
        assert (await gate.send(gate.post(said))).status == 200
        limited = gate.control.token(models=("fake/echo",))
        for request, status in (
            (gate.post(chat(secret)), 404),
            (gate.post(chat(f"fake2/{secret}")), 404),
            (gate.post(chat(secret), token=limited), 403),
            (gate.get(f"/v1/models/{secret}"), 404),
            (gate.get(f"/v1/nothing/{secret}?key={secret}"), 400 if secret.startswith("cv-") else 403),
            (gate.get(f"/{secret}"), 404),
            (gate.post(b'{"model":"fake/echo", "stream": "' + secret.encode() + b'"}'), 400),
            (
                gate.post(
                    b'{"model":"fake/echo", "' + secret.encode() + b'": 1, "' + secret.encode() + b'": 2}'
                ),
                400,
            ),
            (written(chat("fake/echo"), CHAT, authorization=f"Bearer {secret}"), 401),
            (written(chat("fake/echo"), CHAT, **{"x-api-key": secret, "user-agent": secret}), 401),
            (gate.post(chat("fake/echo"), expect=secret), 417),
            (f"GET /{secret} HTTP/3.0\r\n\r\n".encode(), 400),
        ):
            assert (await gate.send(request)).status == status, request
        await gate.settled()
    data = await asyncio.to_thread(kept, tmp_path)
    assert b"[redacted]" in data
    for spelling in spellings(secret):
        assert spelling not in data
    assert b"hush" not in data


async def test_what_a_client_says_of_itself_is_kept_as_it_is(tmp_path: Path) -> None:
    metadata = {"team": "sales", "ticket": "T-17", "nested": {"a": [1, 2.5, None, "ä"]}}
    async with gateway(tmp_path) as gate:
        agent = {"user-agent": "OpenAI/Python 1.2.3"}
        assert (await gate.send(gate.post(chat("fake/echo", metadata=metadata), **agent))).status == 200
    records = await gate.records()
    record = records.only()
    private = records.private(record, record.private)
    assert private is not None
    assert private["metadata"] == {"metadata": metadata}
    client = records.private(record, record.client)
    assert client is not None
    assert client["user_agent"] == "OpenAI/Python 1.2.3"


@pytest.mark.parametrize(("size", "whole"), [(16 << 10, True), ((16 << 10) + 1, False), (1 << 20, False)])
async def test_metadata_over_its_limit_is_replaced_by_a_note(tmp_path: Path, size: int, whole: bool) -> None:
    metadata = {"note": "n" * (size - len('{"metadata":{"note":""}}'))}
    assert len(json.dumps({"metadata": metadata}, separators=(",", ":"))) == size
    async with gateway(tmp_path) as gate:
        assert (await gate.send(gate.post(chat("fake/echo", metadata=metadata)))).status == 200
        assert gate.fake.last is not None
        assert json.loads(gate.fake.last.body)["metadata"] == metadata, "the provider gets it all the same"
    records = await gate.records()
    record = records.only()
    private = records.private(record, record.private)
    assert private is not None
    if whole:
        assert private["metadata"] == {"metadata": metadata}
    else:
        assert private["metadata"] == {"omitted": f"{size} bytes, over the limit of 16384"}
        assert len(await asyncio.to_thread(kept, tmp_path)) < 12_000
