"""docs/clients.md names every client that is tested, with its version; and no lock says where packages come from."""

import re

from tests.clients.agents import AGENTS
from tests.clients.program import HERE, ROOT
from tests.clients.table import LIBRARIES
from tests.clients.versions import versions

PAGE = (ROOT / "docs" / "clients.md").read_text()


def test_every_client_has_a_section() -> None:
    titles = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    sections = {name for title in titles for name in re.split(r", | \(", title)}
    packages = {"node-genai": "@google/genai", "ai-sdk": "ai"}
    names = {packages.get(each.package, each.package.removeprefix("node-")) for each in LIBRARIES}
    assert names | {agent.name for agent in AGENTS} <= sections


def test_every_client_is_listed_with_the_version_that_is_tested() -> None:
    listed = dict(re.findall(r"^\| `([^`]+)` \| (\S+) \|$", PAGE, re.MULTILINE))
    assert listed == dict(versions())


def test_locks_name_no_place() -> None:
    for lock in HERE.glob("*/package-lock.json"):
        assert '"resolved"' not in lock.read_text(), lock
