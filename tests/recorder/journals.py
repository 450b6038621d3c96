"""Journals to record, written by the real writer, and the ledger they make."""

import sqlite3
from pathlib import Path
from typing import Any

from chatvault.audit.lines import Closed, Opened, Priced, Refused
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig
from chatvault.core.ids import new_id
from chatvault.core.usage import Usage
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.recorder import Recorder

SMALL = AuditConfig(reserve=0)
ROLLING = AuditConfig(reserve=0, segment_size=4096)
START = 1_700_000_000_000_000


def writer(data: Path, name: str = "worker0", settings: AuditConfig = SMALL) -> ChainWriter:
    return ChainWriter.open(data / "journal", name, settings, version="test")


def opened(number: int, id: str) -> Opened:
    return Opened(
        at=START + number * 1000,
        id=id,
        token=f"tok_{number % 5}",
        project="default",
        endpoint="chat",
        dialect="openai.chat",
        model="fast",
        provider="fake",
        target="fake/echo",
        price="p1",
        reserved=10**9,
        input_bytes=400,
    )


def closed(number: int, id: str, **changes: Any) -> Closed:
    values: dict[str, Any] = {
        "at": START + number * 1000 + 500,
        "id": id,
        "opened_at": START + number * 1000,
        "state": "completed",
        "status": 200,
        "token": f"tok_{number % 5}",
        "project": "default",
        "endpoint": "chat",
        "model": "fast",
        "provider": "fake",
        "target": "fake/echo",
        "resolved": "echo-1",
        "usage": Usage(input=12, output=30),
        "usage_source": "provider",
        "cost": 1000 + number,
        "cost_source": "prices",
        "price": "p1",
        "latency_us": 1500,
        "ttft_us": 400,
        "finish": "stop",
        "trace": "0" * 32,
        "upstream_id": f"up-{number}",
    }
    return Closed(**{**values, **changes})


def call(chain: ChainWriter, number: int, **changes: Any) -> str:
    """One whole call, as a worker writes it; every seventh has an error text and metadata."""
    id = new_id((START + number * 1000) * 1000)
    chain.append(opened(number, id))
    private = None
    if number % 7 == 0:
        data: dict[str, object] = {"error": f"failed {number}", "metadata": {"user": number}}
        private = chain.private(id, "call", data)
    chain.append_reserved(closed(number, id, private=private, **changes))
    return id


def calls(chain: ChainWriter, count: int, start: int = 0) -> list[str]:
    return [call(chain, start + number) for number in range(count)]


def refused(chain: ChainWriter, number: int, count: int = 1) -> str:
    id = new_id((START + number * 1000) * 1000)
    private = chain.private(id, "refusal", {"error": "no such token"})
    chain.append(
        Refused(
            at=START + number * 1000,
            id=id,
            status=401,
            code="bad_token",
            endpoint="chat",
            count=count,
            private=private,
        )
    )
    return id


def priced(chain: ChainWriter, version: str = "p1", at: int = START) -> None:
    chain.append(
        Priced(
            at=at,
            version=version,
            provider="fake",
            model="fake/echo",
            source="test",
            rates={"output": 2, "input": 1},
            tiers=[("input", 1000, 3)],
        )
    )


def options(data: Path) -> RecorderOptions:
    return RecorderOptions(data_dir=data, poll=0.01, patience=0.1, retry=0.02, last_pass=2.0)


def record(data: Path) -> None:
    """Bring the ledger level with the journal."""
    recorder = Recorder(options(data))
    try:
        while recorder.step():
            pass
    finally:
        recorder.close()


def dump(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that the ledger holds, byte for byte."""
    connection = sqlite3.connect(data / "chatvault.db")
    try:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in ("usage_logs", "positions", "prices")
        }
    finally:
        connection.close()


def ids(data: Path) -> list[str]:
    return [row[0] for row in dump(data)["usage_logs"]]


def forget(data: Path) -> None:
    """Delete the ledger."""
    for name in ("chatvault.db", "chatvault.db-wal", "chatvault.db-shm"):
        (data / name).unlink(missing_ok=True)


def rebuilt(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the ledger holds when it is built anew."""
    forget(data)
    record(data)
    return dump(data)
