"""A token in an address is refused, and kept nowhere; but for Gemini's `key`, which its clients have to send there."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.credential import in_query, new_token
from tests.fake.raw import chat, written
from tests.gateway.harness import CHAT, gateway
from tests.gateway.test_refusals import _all_text, code_of, message_of

HELLO = chat("fake/echo")
GEMINI = "/v1beta/models/fake/echo:generateContent"
ASK = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def spellings(token: str) -> list[str]:
    return [
        f"token={token}",
        f"a=b&access_token={token}",
        f"api_key={token}&a=b",
        f"key={token}",
        f"a;token={token}",
        token,
        f"authorization=Bearer%20{token}",
        f"authorization=Bearer+{token}",
        f"x={token.replace('-', '%2D')}",
        f"x=%63%76-{token[3:]}",
        f"x={token.upper()}",
        f"x=%20{token}",
    ]


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/models", "/v1/anything", "/nowhere", "/health", "/manage/tokens"]
)
async def test_it_is_refused_on_every_path_and_is_nowhere_on_record(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as gate:
        for query in spellings(gate.token):
            request = gate.post(HELLO, f"{path}?{query}") if path == CHAT else gate.get(f"{path}?{query}")
            heard = await gate.send(request)
            assert (heard.status, code_of(heard)) == (400, "token_in_query"), query
            assert gate.token[4:] not in heard.data.decode()
        assert gate.control.lookups == 0
        assert gate.fake.stats.requests == 0
    text = await asyncio.to_thread(_all_text, tmp_path)
    assert gate.token[3:-6] not in text
    assert gate.token[3:-6].upper() not in text


async def test_geminis_key_is_one_and_goes_no_further(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        heard = await gate.send(written(ASK, f"{GEMINI}?key={gate.token}"))
        assert heard.status == 200
        assert gate.fake.last is not None
        assert gate.token not in str(gate.fake.last)
        for query in (f"key={gate.token}&other={gate.token}", f"Key={gate.token}", f"k%65y={gate.token}"):
            heard = await gate.send(gate.post(ASK, f"{GEMINI}?{query}"))
            assert heard.status == 400, query
            assert "query string" in message_of(heard)
    assert gate.token not in await asyncio.to_thread(_all_text, tmp_path)


@given(st.text(max_size=30), st.text("abcdefghijk", min_size=1, max_size=8))
def test_any_spelling_is_found_and_other_values_are_not(around: str, name: str) -> None:
    token = new_token()
    encoded = "".join(f"%{ord(letter):02x}" for letter in token)
    rest = quote(around, safe="")
    assert in_query(f"?a={rest}&{name}={encoded}".encode())
    assert not in_query(f"?a=x{rest}&{name}=b".encode())
    assert not in_query(b"?version=cv-&after=2026-01-01&q=a+cv-joint")
