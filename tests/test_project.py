"""What holds for the project as a whole: its guards bite, its locks are sound, its workers stay light."""

import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import pytest
from blockbuster import BlockingError

import chatvault

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "chatvault"
HEAVY = ("aiosqlite", "alembic", "cryptography", "fastapi", "genai_prices", "pydantic", "sqlalchemy", "yaml")
WORKER_PACKAGES = ("access", "core", "feed", "gateway", "net", "providers", "wire")


def _compiled_as(file: Path, text: str) -> Callable[..., object]:
    """The function `act` of a text, looking as if it stood in a file of ours."""
    code: CodeType = compile(text, str(file), "exec")
    names: dict[str, Callable[..., object]] = {}
    exec(code, names)
    return names["act"]


async def test_blocking_in_the_event_loop_fails_the_test() -> None:
    act = _compiled_as(SOURCE / "gateway" / "sleepy.py", "import time\ndef act(): time.sleep(0.001)\n")
    with pytest.raises(BlockingError):
        act()


async def test_the_journal_writer_may_write(tmp_path: Path) -> None:
    text = "import os\ndef act(fd): return os.write(fd, b'line')\n"
    fd = os.open(tmp_path / "journal", os.O_WRONLY | os.O_CREAT)
    try:
        assert _compiled_as(SOURCE / "audit" / "writer.py", text)(fd) == 4
        with pytest.raises(BlockingError):
            _compiled_as(SOURCE / "audit" / "reader.py", text)(fd)
    finally:
        os.close(fd)


async def test_a_test_itself_may_wait_a_moment() -> None:
    time.sleep(0)  # not our code: a test may do what a worker may not


def test_free_ports_differ(free_port: int, free_ports: Callable[[int], list[int]]) -> None:
    assert 0 < free_port < 65536
    assert len(set(free_ports(5))) == 5


def test_version_is_the_package_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == chatvault.__version__


def test_every_package_is_one() -> None:
    """A folder without __init__.py would escape the import linter."""
    folders = {file.parent for file in SOURCE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", ["build", "demo", "dev", "run", "tiny"])
def test_requirements_are_locked_by_hash_and_name_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    logical_lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert logical_lines
    for line in logical_lines:
        assert re.match(r"[a-z0-9._-]+==\S+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
        assert "://" not in line, line


def test_locks_agree_with_each_other() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^([a-z0-9._-]+==[^\s;]+)", text, re.MULTILINE))

    assert pins("run") | pins("build") | pins("demo") <= pins("dev")


def test_dependencies_are_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    wanted = {re.split(r"[\[><=]", line)[0].lower() for line in project["dependencies"]}
    assert wanted <= set(locked)


def test_worker_packages_load_nothing_heavy() -> None:
    """The import linter sees what is written; this sees what is loaded."""
    modules = [
        ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for package in WORKER_PACKAGES
        for file in sorted((SOURCE / package).rglob("*.py"))
    ]
    assert modules
    program = (
        "import importlib, sys\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "[]", "")


def test_the_vocabulary_needs_the_standard_library_and_msgspec_only() -> None:
    allowed = sys.stdlib_module_names | {"msgspec", "chatvault"}
    for file in (SOURCE / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, f"{file}: {names}"
