"""`python -m tests.recorded.table` replays every recorded exchange and writes the tables of docs/dialects.md."""

import sys
from pathlib import Path
from typing import Final

from tests.recorded import embeddings
from tests.recorded.embeddings import EMBEDDINGS, Library
from tests.recorded.exchanges import FOLDER, SOURCES, exchanges
from tests.recorded.official import clients
from tests.recorded.tally import Pair, Tally

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "dialects.md"
BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
_SHOWN: Final = 6


def measure(at_most: int | None = None, *sources: str) -> Tally:
    tally, judges = Tally(), clients()
    for source in sources or (*SOURCES, *EMBEDDINGS):
        library = Library() if source in EMBEDDINGS else None
        for exchange in exchanges(source, at_most=at_most):
            if library is None:
                tally.add(source, exchange, judges)
            else:
                embeddings.add(tally, source, exchange, library)
    return tally


def tables(tally: Tally) -> str:
    lines = [
        "| recorded | told in | answers | failed | requests | failed | refused | errors | failed |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    totals = [0] * 7
    for source, target, pair in tally.rows():
        numbers = _numbers(pair)
        totals = [one + two for one, two in zip(totals, numbers, strict=True)]
        lines.append(_row(f"`{source}`", f"`{target}`", numbers))
    lines.append(_row("**all**", "", totals))
    lines += ["", "What requests lost, by name, and in how many of them:", "", "| from | to | dropped |"]
    lines.append("| --- | --- | --- |")
    for source, target, pair in tally.rows():
        top = ", ".join(f"`{name}` {count}" for name, count in pair.dropped.most_common(_SHOWN))
        lines.append(f"| `{source}` | `{target}` | {top or 'nothing'} |")
    lines += ["", "| from | exchanges | not of their dialect | broken off in the recording |"]
    lines.append("| --- | ---: | ---: | ---: |")
    lines += [
        f"| `{source}` | {count} | {tally.unread[source]} | {tally.cut[source]} |"
        for source, count in tally.exchanges.items()
    ]
    return "\n".join(lines)


def _numbers(pair: Pair) -> list[int]:
    return [
        pair.answers.passed,
        pair.answers.failed,
        pair.requests.passed,
        pair.requests.failed,
        pair.requests.refused,
        pair.errors.passed,
        pair.errors.failed,
    ]


def _row(source: str, target: str, numbers: list[int]) -> str:
    return f"| {source} | {target} | " + " | ".join(map(str, numbers)) + " |"


def failures(tally: Tally) -> str:
    return "\n".join(
        f"{source} -> {target} {len(ids)} {why[:200]!r} {ids[0]}"
        for source, target, pair in tally.rows()
        for why, ids in pair.why.items()
    )


def main() -> None:
    if not FOLDER.is_dir():
        sys.exit("CHATVAULT_RECORDED names no folder of recorded exchanges")
    tally = measure()
    print(tables(tally))
    print(failures(tally), file=sys.stderr)
    if DOCUMENT.exists():
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{tables(tally)}\n{END}{after}")


if __name__ == "__main__":
    main()
