"""Many tokens: looked up at first use, kept while they are used, never loaded."""

import http.client
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatvault.access.credential import digest, new_token
from chatvault.bench.own_gateway import OwnGateway
from chatvault.bench.processes import rss_mb
from tests.load.scale import scaled

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

Show = Callable[[str], None]
_BATCH = 20_000
_BODY = json.dumps(
    {"model": "fake/echo", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
).encode()


def fill(data: Path, many: int, used: int) -> list[str]:
    """Put so many tokens into the vault; those that are to be used."""
    pepper = (data / "secrets" / "pepper").read_bytes()
    kept, left = [new_token() for _ in range(used)], many - used
    limits = json.dumps({"requests_per_hour": 1000})
    database = sqlite3.connect(data / "vault.db", timeout=30)
    at = time.time_ns() // 1000
    number = 0

    def row(secret: bytes) -> tuple[object, ...]:
        nonlocal number
        number += 1
        return (f"tok_{number:020x}", secret, "n", "client", "default", at + number, "[]", "{}", limits)

    insert = (
        "INSERT INTO tokens (id, digest, name, kind, project_id, created_at, tags, metadata, limits)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    with database:
        database.executemany(insert, [row(digest(pepper, secret.encode())) for secret in kept])
    for begun in range(0, left, _BATCH):
        with database:
            rows = [row(number.to_bytes(32)) for number in range(begun, min(begun + _BATCH, left))]
            database.executemany(insert, rows)
    database.close()
    return kept


@scaled((2_000, 60), (1_000_000, 10_000))
def test_tokens_are_looked_up_not_loaded(scale: tuple[int, int], show: Show) -> None:
    many, used = scale
    with OwnGateway(["--fake"]) as gateway:
        tokens = fill(gateway.data_dir, many, used)
        pid = gateway.worker_pid()
        assert pid is not None
        connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)

        def call(token: str) -> float:
            began = time.perf_counter()
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", _BODY, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            assert answer.headers["x-ratelimit-limit-requests"] == "1000"
            return (time.perf_counter() - began) * 1e3

        call(tokens[0])
        before = rss_mb(pid)
        first = [call(token) for token in tokens[1:]]
        again = [call(token) for token in tokens[1:]]
        after = rss_mb(pid)
        more = statistics.median(first) - statistics.median(again)
        show(
            f"{many:,} tokens, {used:,} used: a first use {more:.2f} ms more than a later one ({statistics.median(again):.2f} "
            f"ms); the worker from {before:.1f} to {after:.1f} MB"
        )
        connection.close()
        assert more < (25.0 if sys.gettrace() is not None else 5.0)  # coverage slows control
        assert after < 80.0
