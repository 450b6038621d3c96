"""Text in columns, for a terminal or a pipe."""

from collections.abc import Sequence

_LONGEST = 80


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = (), gap: str = "  ") -> str:
    """The rows with their cells aligned, those of the columns `right` to the right. One line a row."""
    count = max((len(row) for row in rows), default=0)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in rows:
        cells = [cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(row)]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def plain(text: object) -> str:
    """A text from outside, safe on a terminal: names come from clients and could hold escape sequences."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in str(text))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def number(value: object) -> str:
    """A count with separators; `?` for one that is not known."""
    return "?" if value is None else f"{value:,}"


def price(dollars: object) -> str:
    """An exact amount as the control plane says it; `unknown` for one that is not known."""
    return "unknown" if dollars is None else f"${dollars}"
