"""The demo's look at the record: the ledger's rows, their costs, the journal's proof, and a forgery."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from chatvault.app.demo_stage import Stage, expect
from chatvault.audit.findings import Report
from chatvault.audit.verify import verify
from chatvault.bench.own_gateway import OwnGateway
from chatvault.core.errors import ChatVaultError
from chatvault.core.money import dollars

Row = dict[str, Any]

_PATIENCE: Final = 10.0
_PAUSE: Final = 0.05
_COST: Final = re.compile(rb'"cost":(\d+)')
_T = TypeVar("_T")


def wait_for(ask: Callable[[], _T | None], what: str, patience: float = _PATIENCE) -> _T:
    """The first answer that is not None. Raises DemoFailed, saying `what` did not come."""
    until = time.monotonic() + patience
    while True:
        try:
            found = ask()
        except ChatVaultError:  # a part that is just starting again
            found = None
        if found is not None:
            return found
        expect(time.monotonic() < until, f"{what} (waited {patience:g} s)")
        time.sleep(_PAUSE)


def ledger_rows(gateway: OwnGateway, ids: Sequence[str]) -> list[Row]:
    """The rows of these calls, in this order. Raises DemoFailed if there are not just these."""

    def ask() -> list[Row] | None:
        found = {row["id"]: row for row in gateway.control.request("GET", "/usage?limit=1000")["data"]}
        return [found[id] for id in ids] if found.keys() >= set(ids) else None

    rows = wait_for(ask, f"The ledger should have a row for each of the {len(ids)} calls")
    count = len(gateway.control.request("GET", "/usage?limit=1000")["data"])
    expect(count == len(ids), f"{len(ids)} calls were made, and the ledger has {count} rows.")
    return rows


def show_rows(stage: Stage, rows: Sequence[tuple[str, Row]]) -> int:
    """The rows as a table; the sum of what is known, in pico-dollars."""
    shown = []
    for what, row in rows:
        cost = row["cost"]
        if cost is not None:
            paid = f"${cost}"
        else:
            paid = "unknown" if row["cost_bound"] is None else f"≤ ${row['cost_bound']}"
        tokens = [_text(row["input_tokens"]), _text(row["output_tokens"])]
        took = None if row["state"] == "interrupted" else row["latency_ms"]  # nobody was there to see
        times = [_text(took, " ms"), _text(row["ttft_ms"], " ms")]
        shown.append([what, row["state"], *tokens, row["usage_source"], paid, *times])
    head = ["call", "state", "in", "out", "says who", "cost", "took", "first token"]
    stage.table("The ledger", head, shown, right=(2, 3, 5, 6, 7))
    return sum(row["cost_pico"] or 0 for _, row in rows)


def expect_summary(gateway: OwnGateway, rows: Sequence[Row], total: int) -> None:
    """The ledger's own sums must be those of its rows."""
    groups = gateway.control.request("GET", "/usage/summary?group_by=provider")["data"]
    calls, cost = sum(group["calls"] for group in groups), sum(group["cost_pico"] or 0 for group in groups)
    expect(calls == len(rows), f"The summary counts {calls} calls, the ledger has {len(rows)} rows.")
    expect(cost == total, f"The summary says ${dollars(cost)}, the rows ${dollars(total)}.")


def verified(gateway: OwnGateway) -> Report:
    """The journal's verification, once a signature covers all of it. Raises DemoFailed."""

    def ask() -> Report | None:
        report = verify(gateway.data_dir)
        expect(report.ok, "The journal should verify:\n" + report.text())
        # The newest signature itself is always one line ahead of what is signed.
        return report if sum(chain.unsigned for chain in report.chains) <= 1 else None

    return wait_for(ask, "The gateway should have signed all of the journal")


def forged(gateway: OwnGateway) -> str:
    """Change one digit of one cost in a copy of the journal; what the verification says of it. Raises
    DemoFailed."""
    copy = gateway.home / "forged"
    shutil.copytree(gateway.data_dir, copy)
    _forge(copy / "journal")
    report = verify(copy)
    expect(not report.ok, "A journal with one digit changed should not verify.")
    first = report.findings[0]
    return f"line {first.line} of {first.file}: {first.what.rpartition(': ')[2]}"


def _forge(journal: Path) -> None:
    for file in sorted(
        path for path in journal.rglob("*") if path.is_file() and not path.name.endswith(".gz")
    ):
        text = file.read_bytes()
        for found in _COST.finditer(text):
            digit = found.start(1)
            if found[1] != b"0":
                file.write_bytes(
                    text[:digit] + (b"1" if text[digit : digit + 1] != b"1" else b"2") + text[digit + 1 :]
                )
                return
    expect(False, "The journal should hold a cost.")


def _text(value: object, unit: str = "") -> str:
    return "-" if value is None else f"{value}{unit}"
