"""The documents agree with the code and with each other: every error code, state, source and link; and no file of the
project speaks of what lies outside of it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from chatvault.audit.floods import SEVERAL
from chatvault.core.seam import Fault, FaultCode
from chatvault.core.states import COST_SOURCES, STATES, USAGE_SOURCES
from chatvault.fake.errors import CODES as FAKE_CODES
from chatvault.gateway.faults import upstream_error
from chatvault.ledger import faults as ledger_faults
from chatvault.vault import faults as vault_faults

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "chatvault"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

Place = tuple[str, str]
"""A code, and where in the source it stands."""


# --- the code's side


def _texts(node: ast.expr | None) -> Iterator[str]:
    """The literals that an expression may come to: itself, or the arms of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _given(node: ast.AST) -> list[ast.expr | None]:
    """What is passed as `code=`, assigned to a `code`, or the default of a parameter `code`."""
    if isinstance(node, ast.Call):
        return [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    if isinstance(node, ast.Assign):
        names = [
            target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
            for target in node.targets
        ]
        return [node.value] if "code" in names else []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = node.args
        defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
        both = [
            *zip(given.args, defaults, strict=True),
            *zip(given.kwonlyargs, given.kw_defaults, strict=True),
        ]
        return [default for parameter, default in both if parameter.arg == "code"]
    return []


def _literals(text: str, name: str) -> Iterator[Place]:
    for node in ast.walk(ast.parse(text)):
        for value in _given(node):
            for code in _texts(value):
                yield code, f"{name}:{getattr(node, 'lineno', 0)}"


def _tables() -> Iterator[Place]:
    """Codes that stand in tables."""
    for fault in get_args(FaultCode):
        yield upstream_error(Fault(fault), "any")[1].code, "gateway/faults.py"
    for code in vault_faults._ADVICE:
        yield code, "vault/faults.py"
    for code in ledger_faults._ADVICE:
        yield code, "ledger/faults.py"
    yield SEVERAL, "audit/floods.py"
    for code in FAKE_CODES.values():
        yield code, "fake/errors.py"


_NOT_SHOWN = {"proxy_failed"}
"""Codes that never leave their package: `net` raises it to itself, and reports the fault of that name."""


def _codes() -> dict[str, str]:
    """Every code a client, a record, a log or a terminal may show, and a place where it stands."""
    found = dict(_tables())
    for file in sorted(SOURCE.rglob("*.py")):
        found |= dict(_literals(file.read_text(), str(file.relative_to(SOURCE))))
    return {code: place for code, place in found.items() if code not in _NOT_SHOWN}


# --- the documents' side


def _section(title: str) -> str:
    """The text of docs/errors.md under a heading of the second level."""
    text = (ROOT / "docs" / "errors.md").read_text()
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/errors.md has no section '{title}'"
    return found[1]


def _rows(text: str) -> list[str]:
    """The first cell of each table row that begins with a name."""
    return re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.MULTILINE)


def _code_sections() -> str:
    text = (ROOT / "docs" / "errors.md").read_text()
    return "".join(_section(title) for title in re.findall(r"^## (Codes .*)$", text, re.MULTILINE))


# --- error codes, states, sources


def test_what_is_collected_is_what_is_there() -> None:
    text = (
        "def f(message, code='a_default', *, kind='x'): ...\n"
        "raise E('text', code='passed')\n"
        "self.outcome.code = 'assigned'\n"
        "code = 'one' if known else 'other'\n"
        "E('text', code=variable, param='no')\n"
    )
    assert {code for code, _ in _literals(text, "x")} == {"a_default", "passed", "assigned", "one", "other"}
    assert {"bad_request", "journal_unavailable", "ledger_missing", "upstream_reset"} <= _codes().keys()


def test_every_error_code_is_documented() -> None:
    documented = set(_rows(_code_sections()))
    missing = sorted(f"{code} ({place})" for code, place in _codes().items() if code not in documented)
    assert missing == [], f"add a row to docs/errors.md for: {', '.join(missing)}"


def test_every_documented_error_code_exists() -> None:
    known = _codes()
    gone = [code for code in _rows(_code_sections()) if code not in known]
    assert gone == [], f"remove from docs/errors.md, nothing in src has them any more: {', '.join(gone)}"


def test_no_error_code_is_documented_twice() -> None:
    rows = _rows(_code_sections())
    assert sorted(code for code in set(rows) if rows.count(code) > 1) == []


@pytest.mark.parametrize(
    ("title", "words"),
    [("States", STATES), ("Usage sources", USAGE_SOURCES), ("Cost sources", COST_SOURCES)],
)
def test_every_word_of_a_record_is_documented(title: str, words: tuple[str, ...]) -> None:
    assert _rows(_section(title)) == list(words), f"docs/errors.md, '{title}': one row each, in this order"


# --- links


def _anchors(document: Path) -> set[str]:
    """What headings can be linked by: in lower case, words joined by dashes, other signs left out."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#{1,6} (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def _dead_links(document: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    assert list(_dead_links(document)) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A title, with (signs)\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-title-with-signs) [c](gone.md) [d](there.md#gone) [e](https://example.org/x)\n"
        "```\n[f](in-code.md)\n```\n"
    )
    assert list(_dead_links(page)) == ["gone.md: no such file", "there.md#gone: no such heading"]


# --- what no file of the project may speak of

_REGISTRIES = ("pypi", "pythonhosted", "npmjs", "crates")
_FORBIDDEN = {
    "a place outside of the project": re.compile("/" + "work/|" + r"\.\./" + "shared"),
    "work that was left undone": re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b"),
    "the host of a package registry": re.compile(rf"\b(?:{'|'.join(_REGISTRIES)})\.(?:org|com|io)\b"),
}


def _files() -> list[Path]:
    """The project's files, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file != ROOT / ".ci" / "run"]


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_speaks_of(what: str) -> None:
    files = _files()
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if _FORBIDDEN[what].search(line)
    ]
    assert found == []
