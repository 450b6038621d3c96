"""The turns of a conversation as this dialect wants them: user and assistant by turns, and the results of
calls first in the turn that follows the calls.

A conversation that came in this dialect keeps its messages as they are; Anthropic joins them itself.
"""

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.blocks_writer import Block, BlockWriter, plain_block, shortened
from chatvault.wire.anthropic.models import ModelFacts
from chatvault.wire.anthropic.names import ME
from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import ToolCall, ToolResult
from chatvault.wire.hub.paths import message_path, part_path
from chatvault.wire.json_value import Values


class _Turn(msgspec.Struct, gc=False):
    role: str
    blocks: list[Block]
    results: list[Block]


class Turns:
    """`system` and `messages` are what a request holds."""

    __slots__ = ("_calls", "_conversation", "_dropped", "_facts", "_turns", "_writer", "system")

    def __init__(self, conversation: Conversation, facts: ModelFacts, dropped: Dropped) -> None:
        self._conversation = conversation
        self._facts = facts
        self._dropped = dropped
        self._writer = BlockWriter(dropped, own=False)
        self._turns: list[_Turn] = []
        self._calls: dict[str, int] = {}
        """The turn that made a call, by its id."""
        self.system: list[Block] = []
        for index, message in enumerate(conversation.messages):
            if not self._plain(message):
                self._add(index, message)

    @property
    def messages(self) -> list[Values]:
        return [
            {
                "role": turn.role,
                "content": shortened([*turn.results, *turn.blocks] if turn.results else turn.blocks),
            }
            for turn in self._turns
            if turn.results or turn.blocks
        ]

    def _plain(self, message: Message) -> bool:
        """Add a message that is one text, as nearly all are; False for any other. The same as the long way does."""
        if len(message.parts) != 1 or message.name is not None or message.extra:
            return False
        block, role = plain_block(message.parts[0]), message.role
        if block is None:
            return False
        if role == "user" or role == "assistant":
            self._turn(role).blocks.append(block)
            return True
        if self._turns:
            return False
        self.system.append(block)
        return True

    def _add(self, index: int, message: Message) -> None:
        if message.name is not None or (message.extra and message.origin != ME):
            path = message_path(self._conversation, index)
            if message.name is not None:
                self._dropped.add(f"{path}.name")
            if message.origin != ME:
                for name in message.extra or ():
                    self._dropped.add(f"{path}.{name}")
        if message.role in ("system", "developer"):
            self._system(index, message)
            return
        for at, part in enumerate(message.parts):
            block = plain_block(part)
            if block is not None:
                self._turn(message.role).blocks.append(block)
            else:
                self._part(index, message, at)

    def _system(self, index: int, message: Message) -> None:
        """Behind others, an instruction keeps its place where the model takes it there; elsewhere it joins
        the system prompt.
        """
        blocks = [
            block
            for at, part in enumerate(message.parts)
            if (block := plain_block(part) or self._writer.block(part, self._path(index, at))) is not None
        ]
        last = self._turns[-1].role if self._turns else None
        if last is not None and self._facts.system_turns and last in ("user", "system"):
            self._turn("system").blocks.extend(blocks)
            return
        if last is not None:
            self._dropped.add(f"{message_path(self._conversation, index)}.role")
        self.system.extend(blocks)

    def _part(self, index: int, message: Message, at: int) -> None:
        part = message.parts[at]
        path = self._path(index, at)
        if isinstance(part, ToolResult):
            self._result(part, path)
            return
        block = self._writer.block(part, path)
        if block is None:
            return
        self._turn(message.role).blocks.append(block)
        if isinstance(part, ToolCall):
            self._calls[part.id] = len(self._turns) - 1

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
        block = self._writer.block(part, path)
        if block is not None:
            self._turns[made + 1].results.append(block)

    def _turn(self, role: str) -> _Turn:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role, [], []))
        return self._turns[-1]

    def _path(self, index: int, at: int) -> str:
        return self._conversation.messages[index].parts[at].path or part_path(self._conversation, index, at)


def own_messages(conversation: Conversation, dropped: Dropped) -> tuple[object | None, list[Values]]:
    """The system prompt and the messages of a conversation that came in this dialect, as they were. Thoughts
    of other providers, whose proof it carried, stay behind.
    """
    writer = BlockWriter(dropped, own=True)
    system, messages = None, list[Values]()
    for index, message in enumerate(conversation.messages):
        blocks = [
            block
            for at, part in enumerate(message.parts)
            if (
                block := plain_block(part)
                or writer.block(part, part.path or part_path(conversation, index, at))
            )
            is not None
        ]
        content = shortened(blocks) if blocks else blocks
        if message.path == "system":
            system = content
            continue
        written: Values = {"role": message.role, "content": content}
        messages.append(written | (message.extra or {}))
    return system, messages
