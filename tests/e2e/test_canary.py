"""Planted secrets, used in every way there is, and then looked for everywhere: on disk, in what was printed, in
what was answered."""

import asyncio
import base64
import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2

from chatvault.fake import FakeProvider
from tests.e2e.conftest import KEY, Begin
from tests.e2e.gateway import Gateway, chat, eventually
from tests.e2e.streams import Stream

SECRET_FILES = ("secrets", "vault.db", "first-start.txt")
"""Where secrets may lie; what lies there is looked at apart."""
ODD = "canaryODDcredential0123456789xyz"
COOKIE = "session=canaryCOOKIEvalue0123456789"
MANAGEMENT = "canary-management-token-0123456789"
IN_BODY = "sk-canaryBODYkey0123456789abcdef"
IN_METADATA = "sk-canaryMETAkey0123456789abcdef"
WEBHOOK = "canaryWEBHOOKsecret0123456789"
IN_WEBHOOK = "canaryWEBHOOKpath0123456789"
ADMIN_PAGES = (
    "/health",
    "/health/details",
    "/manage/tokens",
    "/manage/provider-keys",
    "/usage/summary",
    "/usage?limit=100",
)
ENVIRONMENT = "canaryENVpassword0123456789"
VAULTED = "canaryVAULTkey0123456789xyz"
MASTER = "ca" * 32


def kept(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All files of a data folder but those for secrets, unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in SECRET_FILES:
            data = path.read_bytes()
            yield path, gzip.decompress(data) if path.suffix == ".gz" else data


def spellings(secret: str) -> list[bytes]:
    """The secret as it may have been written down."""
    raw = secret.encode()
    return [
        raw,
        base64.b64encode(raw).rstrip(b"="),
        json.dumps(secret).encode().strip(b'"'),
        raw.hex().encode(),
    ]


def found(secrets: dict[str, str], where: str, data: bytes) -> list[str]:
    return [
        f"{name} in {where}"
        for name, secret in secrets.items()
        if any(spelling in data for spelling in spellings(secret))
    ]


async def use(gateway: Gateway, answers: list[httpx2.Response]) -> None:
    """A session with the secrets in every place that a client may put them."""
    good = {"authorization": f"Bearer {gateway.token}"}
    said = f"my key is {IN_BODY}, please keep it"
    async with httpx2.AsyncClient(base_url=f"{gateway.url}/v1", timeout=20, trust_env=False) as client:

        async def post(headers: dict[str, str], model: str = "sim/echo", **more: object) -> None:
            body = chat(model, said, metadata={"note": IN_METADATA, "api_key": IN_METADATA}, **more)
            try:
                answers.append(await client.post("/chat/completions", json=body, headers=headers))
            except httpx2.RemoteProtocolError:  # an answer that was broken on purpose
                pass

        await post(good | {"cookie": COOKIE, "proxy-authorization": f"Basic {ODD}", "x-api-key": ODD})
        await post({"x-api-key": gateway.token})
        await post({"api-key": gateway.token})
        for odd in (
            f"Basic {ODD}",
            f"bearer {ODD}",
            f"Bearer  cv-{ODD}",
            ODD,
            f"Token {ODD}",
            f"Bearer cv-{ODD},x",
        ):
            await post({"authorization": odd})
        await post({"x-goog-api-key": ODD})
        await post({"authorization": f"Bearer {MANAGEMENT}"})
        for model in (
            "sim/fail-401",
            "sim/fail-500",
            "sim/cut-after-3",
            "sim/garbage",
            "sim/html",
            "nowhere/x",
        ):
            await post(good, model)
            await post(good, model, stream=True)
        answers.append(await client.get(f"/models?key={ODD}&api_key={gateway.token}"))
        answers.append(await client.post(f"/{gateway.token}/completions?api_key={ODD}", headers=good))
        answers.append(await client.post("/chat/completions", content=said.encode(), headers=good))
        answers.append(await client.get("/models", headers=good | {"user-agent": f"tool/1 ({IN_BODY})"}))


async def administer(gateway: Gateway, answers: list[httpx2.Response]) -> list[str]:
    """Everything that the control plane tells. The tokens it makes, which only the answer that makes one may show."""
    made = []
    async with gateway.operator() as operator:
        for name in ("one", "two"):
            answer = await operator.post("/manage/tokens", json={"name": name})
            made.append(answer.json()["token"])
        named = json.dumps({"token": made[0]})
        answers.append(await operator.request("DELETE", "/manage/tokens", content=named))
        kept = {"provider": "sim", "key": VAULTED, "name": "canary"}
        answers.append(await operator.post("/manage/provider-keys", json=kept))
        assert answers[-1].status_code == 201
        for wrong_key in (
            kept | {"provider": "nowhere"},
            kept | {"odd": ODD},
            kept | {"key": f"{VAULTED} x"},
        ):
            answers.append(await operator.post("/manage/provider-keys", json=wrong_key))
            assert answers[-1].status_code in (400, 404)
        answers.append(await operator.post("/manage/provider-keys/rotate-master"))
        wrong = {"authorization": f"Bearer {ODD}"}
        answers.append(await operator.get("/manage/tokens", headers=wrong))
        answers.append(
            await operator.post("/manage/tokens", json={"name": "x", "kind": "odd", "secret": ODD})
        )
        answers.append(await operator.post(f"/manage/config/reload?api_key={MANAGEMENT}"))
        for path in ADMIN_PAGES:
            answers.append(await operator.get(path))
            assert answers[-1].status_code == 200, path
    return made


async def test_no_planted_secret_is_found_anywhere(begin: Begin, provider: FakeProvider) -> None:
    env = {
        "CHATVAULT_WEBHOOKS_URL": f"https://127.0.0.1:9/{IN_WEBHOOK}",
        "CHATVAULT_WEBHOOKS_SECRET": WEBHOOK,
        "MANAGEMENT_TOKEN": MANAGEMENT,
        "ACME_PASSWORD": ENVIRONMENT,
        "CHATVAULT_AUDIT_BODIES": "full",
        "CHATVAULT_MASTER_KEY": MASTER,
    }
    gateway = await begin("log_level: debug\n", env=env, words=("--fake",))
    gateway.management = MANAGEMENT
    answers: list[httpx2.Response] = []
    await use(gateway, answers)
    stream = await Stream.begin(gateway, "sim/pace-20ms+events-400")
    await stream.leave()
    made = await administer(gateway, answers)
    await use(gateway, answers)  # signed with the vault's key now
    assert provider.last is not None
    assert VAULTED in provider.last.headers["authorization"]
    gateway.configure((gateway.home / "config.yaml").read_text() + f"\nbad_setting: {IN_BODY}\n")
    gateway.signal(signal.SIGHUP)
    await eventually(lambda: "was not changed" in gateway.said("err"))
    await gateway.level()
    await gateway.crash()
    (gateway.home / "config.yaml").write_text(
        (gateway.home / "config.yaml").read_text().replace("bad_setting", "# bad_setting")
    )
    await gateway.start()
    assert await gateway.stop() == 0

    secrets = {
        "provider key": KEY,
        "client token": gateway.token,
        "management token": MANAGEMENT,
        "odd credential": ODD,
        "cookie": COOKIE.partition("=")[2],
        "key in a body": IN_BODY,
        "key in metadata": IN_METADATA,
        "environment": ENVIRONMENT,
        "webhook's secret": WEBHOOK,
        "path of the webhook": IN_WEBHOOK,
        "key in the vault": VAULTED,
        "master key": MASTER,
        **{f"token {number}": token for number, token in enumerate(made)},
    }
    files = await asyncio.to_thread(lambda: list(kept(gateway.data)))
    assert len(files) >= 6
    assert any(b"please keep it" in data for _, data in files), "bodies should have been kept"
    leaks = [leak for path, data in files for leak in found(secrets, str(path), data)]
    for where in ("out", "err"):
        leaks += found(secrets, where, gateway.said(where).encode())
    for answer in answers:
        if answer.status_code != 200 or "chat/completions" not in str(answer.request.url):
            where = f"{answer.request.method} {answer.request.url} ({answer.status_code})"
            leaks += found(secrets, where, answer.content + str(answer.headers).encode())
    vault = await asyncio.to_thread((gateway.data / "vault.db").read_bytes)
    leaks += found(secrets, "vault.db", vault)
    assert leaks == []
    upstream = provider.last
    assert upstream is not None
    head = "\n".join(f"{name}: {value}" for name, value in upstream.headers.items()).encode()
    assert found({"client token": gateway.token, "cookie": COOKIE, "odd": ODD}, "upstream", head) == []
