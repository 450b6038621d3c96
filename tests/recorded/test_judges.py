"""The judges find what is wrong: they are only worth something if they can say no."""

from typing import Any

import msgspec
import pytest

from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Text, ToolCall
from tests.recorded import answers, requests
from tests.recorded.clients import Client, Refused
from tests.recorded.exchanges import DIALECTS
from tests.recorded.official import clients

CALL = ToolCall(id="call_1", name="f", arguments="")
SAID: list[AnyEvent] = [
    Begun(id="a", model="m", created=1),
    PartBegun(index=0, part=Text(text="")),
    TextDelta(index=0, text="hi"),
    PartEnded(index=0),
    PartBegun(index=1, part=CALL),
    ArgumentsDelta(index=1, text='{"a":1}'),
    PartEnded(index=1),
    UsageTold(usage=Usage(input=5, output=7, cached=2)),
    Finished(reason="tool_calls"),
    Ended(),
]
CHANGES: dict[str, dict[int, AnyEvent]] = {
    "text": {2: TextDelta(index=0, text="ho")},
    "call": {5: ArgumentsDelta(index=1, text='{"a":2}')},
    "usage": {7: UsageTold(usage=Usage(input=5, output=8, cached=2))},
    "finish": {8: Finished(reason="length")},
}


class Altered:
    """A client that is told something else than was said."""

    def __init__(self, client: Client, target: str, events: list[AnyEvent]) -> None:
        self._client, self._target, self._events = client, target, events

    def whole(self, body: bytes, status: int = 200) -> Any:
        return self._client.whole(DIALECTS[self._target].write_reply(self._events, model="m"))

    def stream(self, body: bytes) -> Any:
        return self._client.stream(body)

    def check(self, request: dict[str, Any]) -> None:
        self._client.check(request)


@pytest.fixture(scope="module")
def judges() -> dict[str, Client]:
    return clients()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", DIALECTS)
def test_an_answer_that_was_altered_is_found(target: str, judges: dict[str, Client]) -> None:
    batches = [[event] for event in SAID]
    assert answers.judge(batches, target, judges[target]) == []
    for what, changes in CHANGES.items():
        events = [changes.get(at, event) for at, event in enumerate(SAID)]
        wrong = answers.judge(batches, target, Altered(judges[target], target, events))
        assert wrong[0].startswith(f"whole: {what}"), target
        assert wrong[-1] == "whole and streamed disagree"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", DIALECTS)
def test_what_is_no_answer_is_found(target: str, judges: dict[str, Client]) -> None:
    with pytest.raises(Exception):  # noqa: B017
        judges[target].whole(b"[1]")
    with pytest.raises(Refused):
        judges[target].whole(b'{"error":{"message":"no","type":"t","code":"c"}}', status=400)


def test_a_request_that_lost_something_is_found() -> None:
    asked = Conversation(
        model="m", origin="openai.chat", seed=1, messages=(Message(role="user", parts=(Text(text="a b"),)),)
    )
    same = msgspec.structs.replace(
        asked, messages=(Message(role="user", parts=(Text(text="a"), Text(text="b"))),)
    )
    other = msgspec.structs.replace(asked, messages=(Message(role="user", parts=(Text(text="c"),)),))
    nothing = requests.Losses(())
    assert requests.differences(asked, same, nothing) == []
    assert requests.differences(asked, other, nothing)[0].startswith("part ['text']")
    unsown = msgspec.structs.replace(asked, seed=None)
    assert requests.differences(asked, unsown, nothing) == ["seed: None for 1"]
    assert requests.differences(asked, unsown, requests.Losses(("seed",))) == []
    assert requests.differences(asked, unsown, requests.Losses(("se",))) != []
