"""The turns of a conversation as Bedrock wants them: user and assistant by turns, and the results of calls first in the
turn that follows the calls.
"""

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.bedrock.blocks_writer import BlockWriter
from chatvault.wire.bedrock.models import ModelFacts
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import ToolCall, ToolResult
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.json_value import Values


class _Turn(msgspec.Struct, gc=False):
    role: str
    blocks: list[Values]
    results: list[Values]


class Turns:
    """`system` and `messages` are what a request holds; `called` names the tools that were called."""

    __slots__ = ("_calls", "_conversation", "_dropped", "_turns", "_writer", "called", "system")

    def __init__(self, conversation: Conversation, facts: ModelFacts, dropped: Dropped) -> None:
        self._conversation = conversation
        self._dropped = dropped
        self._writer = BlockWriter(facts, dropped)
        self._turns: list[_Turn] = []
        self._calls: dict[str, int] = {}
        """The turn that made a call, by its id."""
        self.called: dict[str, None] = {}
        self.system: list[Values] = []
        for index, message in enumerate(conversation.messages):
            self._add(index, message)

    @property
    def messages(self) -> list[Values]:
        return [
            {"role": turn.role, "content": [*turn.results, *turn.blocks]}
            for turn in self._turns
            if turn.results or turn.blocks
        ]

    def _add(self, index: int, message: Message) -> None:
        path = message_path(self._conversation, index)
        if message.name is not None:
            self._dropped.add(f"{path}.name")
        for name in message.extra or ():
            self._dropped.add(f"{path}.{name}")
        instruction = message.role in ("system", "developer")
        if instruction and self._turns:
            self._dropped.add(f"{path}.role")  # its place among the others: it joins the system prompt
        for at, part in enumerate(message.parts):
            where = part_path(self._conversation, index, at)
            if instruction:
                self.system += self._writer.blocks(part, where, "system")
            elif isinstance(part, ToolResult):
                self._result(part, where)
            else:
                self._said(message.role, self._writer.blocks(part, where, message.role))
                if isinstance(part, ToolCall):
                    self._calls[part.id] = len(self._turns) - 1
                    self.called[part.name] = None

    def _said(self, role: str, blocks: list[Values]) -> None:
        if not blocks:
            return
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role, [], []))
        self._turns[-1].blocks += blocks

    def _result(self, part: ToolResult, path: str) -> None:
        made = self._calls.get(part.call)
        if made is None:
            raise ClientError(
                f"The tool result at '{path}' belongs to no call before it. "
                f"Send the assistant's call with the id {part.call[:200]!r} first.",
                code="invalid_field",
                param=path,
            )
        if made + 1 == len(self._turns):
            self._turns.append(_Turn("user", [], []))
        self._turns[made + 1].results += self._writer.blocks(part, path, "user")
