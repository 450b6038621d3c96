"""Uploads pass as they are, so that a compressed one, whose form nobody could read on the way, is refused."""

import gzip
from pathlib import Path

import pytest

from tests.gateway.harness import converse, gateway
from tests.gateway.test_uploads import form

PATHS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_compressed_upload_is_refused_before_a_byte_goes_up(
    tmp_path: Path, path: str, coding: str
) -> None:
    body, kind = form("fake/echo", b"sound")
    async with gateway(tmp_path) as gate:
        packed = gzip.compress(body) if coding == "gzip" else body
        heard = await gate.send(gate.post(packed, path, **{"content-type": kind, "content-encoding": coding}))
        error = heard.json["error"]
        assert isinstance(error, dict)
        assert (heard.status, error["code"]) == (415, "unsupported_encoding")
        assert gate.fake.stats.connections == 0
        assert gate.worker.held == 0
    records = await gate.records()
    assert not records.opened
    assert [line.code for line in records.refused] == ["unsupported_encoding"]


async def test_a_compressed_upload_to_the_account_is_refused(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("account.files",))
        fields = {"content-type": "application/octet-stream", "content-encoding": "gzip"}
        heard = await gate.send(gate.post(gzip.compress(b"x"), "/v1/files", token=token, **fields))
        assert heard.status == 415
        assert gate.fake.stats.connections == 0


async def test_an_upload_that_says_it_is_plain_passes(tmp_path: Path) -> None:
    body, kind = form("fake/echo", b"sound")
    async with gateway(tmp_path) as gate:
        fields = {"content-type": kind, "content-encoding": "Identity"}
        reader, writer = await gate.open()
        heard = await converse(reader, writer, gate.post(body, "/v1/audio/transcriptions", **fields))
        assert heard.status == 200
        assert gate.fake.last is not None
        assert gate.fake.last.body == body.replace(b"fake/echo", b"echo")
        assert "content-encoding" not in gate.fake.last.headers
