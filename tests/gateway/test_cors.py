"""Cross-origin requests: what a browser is told, once and by us alone."""

import re
from pathlib import Path

import pytest

from chatvault.config.schema import ServerConfig
from tests.fake.raw import Heard, chat
from tests.gateway.harness import CHAT, Gate, gateway
from tests.gateway.upstream import before, sized
from tests.net.peers import answering

APP = "https://app.example"


def cors(*origins: str) -> ServerConfig:
    return ServerConfig(cors_origins=origins, drain_timeout=0.2)


async def preflight(gate: Gate, origin: str, headers: str = "") -> Heard:
    asked = {"access_control_request_headers": headers} if headers else {}
    request = gate.get(
        CHAT, "OPTIONS", authorization="", origin=origin, access_control_request_method="POST", **asked
    )
    return await gate.send(request, quiet=0.05)


def lines(heard: Heard, name: str) -> list[str]:
    return re.findall(rf"(?im)^{name}: (.*?)\r?$", heard.head.decode("latin-1"))


@pytest.mark.parametrize("allowed", [(APP,), ("https://other.example", APP), ("*",)], ids=str)
async def test_an_answer_names_its_origin_exactly_once(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    async with gateway(tmp_path, server=cors(*allowed)) as gate:
        heards = [
            await preflight(gate, APP),
            await preflight(gate, APP, "authorization"),
            await gate.send(gate.post(chat("fake/echo"), origin=APP)),
            await gate.send(gate.post(chat("fake/echo", stream=True), origin=APP)),
            await gate.send(gate.post(chat("fake/fail-500"), origin=APP)),
            await gate.send(gate.get("/v1/models", origin=APP)),
            await gate.send(gate.get("/health", origin=APP)),
            await gate.send(gate.post(b"no", origin=APP)),
            await gate.send(gate.get("/nowhere", origin=APP)),
        ]
    for heard in heards:
        assert lines(heard, "access-control-allow-origin") == [APP], heard.head
        assert lines(heard, "vary") == ["origin"]
        assert len(lines(heard, "access-control-expose-headers")) == 1
        assert not lines(heard, "access-control-allow-credentials")


async def test_what_a_provider_says_of_origins_does_not_pass(tmp_path: Path) -> None:
    more = (
        b"access-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\n"
        b"Access-Control-Expose-Headers: x-secret\r\naccess-control-allow-headers: *\r\n"
    )
    async with before(tmp_path, answering(sized(b"{}", more=more)), server=cors(APP)) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m"), origin=APP))
        assert lines(heard, "access-control-allow-origin") == [APP]
        assert not lines(heard, "access-control-allow-credentials")
        assert not lines(heard, "access-control-allow-headers")
        assert "x-secret" not in heard.head.decode()
        heard = await gate.send(gate.post(chat("raw/m")))
        assert not lines(heard, "access-control-.*")


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("", "authorization, content-type"),
        ("x-stainless-lang,Content-Type", "x-stainless-lang, Content-Type"),
        ("x.y!z , x_1", "x.y!z, x_1"),
        ("x-a, <script>alert(1)</script>, x-b", "x-a, x-b"),
        ("x a, y", "y"),
        ('"quoted", x;y, (z), ok', "ok"),
        ("\xe4, ok", "ok"),
        ("x" * 200 + ", ok", "ok"),
        (",,,", ""),
        (", ".join(["ok"] * 1000), ", ".join(["ok"] * 64)),
    ],
)
async def test_only_names_of_fields_are_allowed_back(tmp_path: Path, asked: str, allowed: str) -> None:
    async with gateway(tmp_path, server=cors(APP)) as gate:
        request = gate.get(
            CHAT, "OPTIONS", authorization="", origin=APP, access_control_request_method="POST", fill="in"
        )
        field = b"access-control-request-headers: " + asked.encode("latin-1") if asked else b"x-y: z"
        heard = await gate.send(request.replace(b"fill: in", field), quiet=0.05)
        assert heard.status == 204
        assert [each.strip() for each in lines(heard, "access-control-allow-headers")] == [allowed]
        assert "content-length" not in heard.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.evil.example",
        "http://app.example",
        "HTTPS://APP.EXAMPLE",
    ],
)
async def test_other_origins_are_refused(tmp_path: Path, origin: str) -> None:
    async with gateway(tmp_path, server=cors(APP)) as gate:
        heard = await preflight(gate, origin)
        error = heard.json["error"]
        assert isinstance(error, dict)
        assert (heard.status, error["code"]) == (403, "origin_not_allowed")
        assert not lines(heard, "access-control-.*")
        heard = await gate.send(gate.post(chat("fake/echo"), origin=origin))
        assert heard.status == 200
        assert not lines(heard, "access-control-.*")
