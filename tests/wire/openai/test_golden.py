"""Requests of both dialects, as each of them writes them: golden files, read by eye."""

import json
from pathlib import Path

import pytest

from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect

DIALECTS: dict[str, ConversationDialect] = {
    "openai.chat": ChatDialect(),
    "openai.responses": ResponsesDialect(),
}
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_written_as_the_golden_file_says(path: Path, name: str) -> None:
    golden = json.loads(path.read_text())
    conversation = DIALECTS[golden["dialect"]].read_request(json.dumps(golden["request"]).encode())
    dropped = Dropped()
    written = json.loads(DIALECTS[name].write_request(conversation, dropped))
    expected = golden["written"][name]
    assert written == (golden["request"] if expected == "the request" else expected)
    assert list(dropped.paths) == golden["dropped"][name]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_same_dialect_drops_nothing_and_means_the_same(path: Path) -> None:
    golden = json.loads(path.read_text())
    dialect = DIALECTS[golden["dialect"]]
    dropped = Dropped()
    first = dialect.write_request(dialect.read_request(json.dumps(golden["request"]).encode()), dropped)
    assert not dropped
    assert json.loads(dialect.write_request(dialect.read_request(first), dropped)) == json.loads(first)
