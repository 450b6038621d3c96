"""Large requests are never copied as a whole; what arrives at the provider is what was sent all the same."""

import os
from pathlib import Path

import pytest

from chatvault.config.schema import ModelConfig
from tests.gateway.harness import gateway

SIZES = (100, (64 << 10) - 60, 64 << 10, 3 << 20)
"""Bytes, around and above what may be copied."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["echo", "fake/echo"])
@pytest.mark.parametrize("more", ["", ',"stream":true', ',"stop":["\\ud83d"]'])
async def test_large_bodies_pass_byte_for_byte(tmp_path: Path, size: int, name: str, more: str) -> None:
    content = '"messages":[{"role":"user","content":"' + os.urandom(size // 2).hex() + '"}]'
    body = f'{{"model":"{name}",{content}{more}}}'.encode()
    expected = f'{{"model":"echo",{content}{more}}}'.encode()
    if more.startswith(',"stream"'):
        expected = b'{"stream_options":{"include_usage":true},' + expected[1:]
    async with gateway(tmp_path, models={"echo": ModelConfig(provider="fake", model="echo")}) as gate:
        assert (await gate.send(gate.post(body))).status == 200
        assert gate.fake.last is not None
        assert gate.fake.last.body == expected
        await gate.settled()
        assert gate.worker.held == 0
