"""Lines and journals to test with."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from chatvault.audit.lines import Closed, Opened
from chatvault.audit.writer import ChainWriter
from chatvault.config.schema import AuditConfig

P = ParamSpec("P")
T = TypeVar("T")

SMALL = AuditConfig(reserve=64 << 10)


def aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what blocks in a thread, and wait: a test may, the event loop of the product may not."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **kwargs).result()


def opened(id: str = "call-1", reserved: int | None = 1000) -> Opened:
    return Opened(
        at=1_000_000,
        id=id,
        token="tok_1",
        project="default",
        user="usr_1",
        endpoint="/v1/chat/completions",
        dialect="openai.chat",
        model="fast",
        provider="fake",
        target="fake-1",
        price="p1",
        stream=True,
        reserved=reserved,
        trace="t1",
    )


def closed(id: str = "call-1") -> Closed:
    return Closed(
        at=2_000_000,
        id=id,
        opened_at=1_000_000,
        state="completed",
        status=200,
        token="tok_1",
        project="default",
        endpoint="/v1/chat/completions",
        model="fast",
        provider="fake",
        target="fake-1",
        cost=12,
        cost_source="prices",
        usage_source="provider",
    )


def open_writer(data: Path, name: str = "worker0", settings: AuditConfig = SMALL) -> ChainWriter:
    return ChainWriter.open(data / "journal", name, settings, version="test")


def raw_lines(writer: ChainWriter) -> Iterator[bytes]:
    """What lies on disk of a chain that is not sealed."""
    for path in sorted(writer.folder.glob(f"{writer.chain}.*.jsonl")):
        yield from path.read_bytes().splitlines(keepends=True)
