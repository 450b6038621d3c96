"""Google's token endpoint, as far as it grants: it verifies what it is shown, and can refuse, be slow, or be down."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatvault.core.clock import now_us

EMAIL = "gateway@acme-llm.iam.gserviceaccount.com"
PROJECT = "acme-llm"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"
REFRESH = "1//refresh-0123456789"
SECRET = "GOCSPX-client-secret-0123"


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@cache
def pem() -> str:
    key = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.decode()


def key_file(**changes: object) -> str:
    """What Google's console would have downloaded."""
    said = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": KEY_ID,
        "private_key": pem(),
        "client_email": EMAIL,
        "client_id": "100000000000000000000",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(said | changes)


def user_file(**changes: object) -> str:
    """What `gcloud auth application-default login` would have left."""
    said = {
        "type": "authorized_user",
        "client_id": "id.apps.googleusercontent.com",
        "client_secret": SECRET,
        "refresh_token": REFRESH,
        "quota_project_id": PROJECT,
    }
    return json.dumps(said | changes)


class TokenEndpoint:
    """`granted` are the tokens it has given out, `life` how many seconds they last. `answer`, if it is set, is what
    it answers instead."""

    def __init__(self) -> None:
        self.granted: list[str] = []
        self.claims: list[dict[str, Any]] = []
        self.heads: list[dict[str, Any]] = []
        self.life = 3600
        self.answer: tuple[int, bytes] | None = None
        self.asked = 0
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        port = int(self.url.rsplit(":", 1)[1].partition("/")[0]) if self.url else 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/token"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        form = dict(parse_qsl((await reader.readexactly(length)).decode(), strict_parsing=True))
        self.asked += 1
        status, body = self.answer or self._grant(form)
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, len(body), body)
        )
        await writer.drain()
        writer.close()

    def _grant(self, form: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._verify(form)
        except Exception as error:
            return 400, json.dumps({"error": "invalid_grant", "error_description": repr(error)}).encode()
        token = f"ya29.token-{len(self.granted)}-0123456789abcdef"
        self.granted.append(token)
        said = {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}
        return 200, json.dumps(said).encode()

    def _verify(self, form: dict[str, str]) -> None:
        """Raises whatever it raises for a grant that Google would not take."""
        if form["grant_type"] == "refresh_token":
            assert (form["refresh_token"], form["client_secret"]) == (REFRESH, SECRET)
            return
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        head, claims, signature = form["assertion"].split(".")
        private_key().public_key().verify(
            _decoded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256()
        )
        self.heads.append(msgspec.json.decode(_decoded(head)))
        said = msgspec.json.decode(_decoded(claims))
        self.claims.append(said)
        now = now_us() / 1e6
        assert said["iss"] == EMAIL
        assert said["aud"] == "https://oauth2.googleapis.com/token"
        assert said["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        assert said["iat"] <= now < said["exp"] <= said["iat"] + 3600


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@asynccontextmanager
async def token_endpoint() -> AsyncIterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.stop()
