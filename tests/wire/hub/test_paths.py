"""What was dropped is named as the client named it."""

import pytest

from chatvault.wire.hub.conversation import Conversation, Message, Tool
from chatvault.wire.hub.parts import Text, ToolCall, ToolResult
from chatvault.wire.hub.paths import field_path, message_path, part_path, tool_path


def asked(origin: str) -> Conversation:
    return Conversation(
        model="m",
        origin=origin,
        messages=(
            Message(role="system", parts=(Text(text="s"),)),
            Message(role="user", parts=(Text(text="q"), Text(text="r", path="messages[9].content[7]"))),
            Message(role="assistant", parts=(Text(text="a"), ToolCall(id="c", name="f", arguments=""))),
            Message(role="user", parts=(ToolResult(call="c"),)),
            Message(role="user", parts=(), path="elsewhere"),
        ),
        tools=(Tool(name="f"), Tool(name="g", path="tools[0].functionDeclarations[1]")),
    )


@pytest.mark.parametrize(
    ("origin", "system", "call", "result"),
    [
        ("openai.chat", "messages[0].content[0]", "messages[2].tool_calls[0]", "messages[3]"),
        ("ollama.chat", "messages[0].content[0]", "messages[2].tool_calls[0]", "messages[3]"),
        ("anthropic.messages", "system[0]", "messages[1].content[1]", "messages[2].content[0]"),
        ("gemini.generate", "systemInstruction.parts[0]", "contents[1].parts[1]", "contents[2].parts[0]"),
        ("openai.responses", "instructions", "input[1]", "input[2]"),
    ],
)
def test_places(origin: str, system: str, call: str, result: str) -> None:
    conversation = asked(origin)
    assert part_path(conversation, 0, 0) == system
    assert part_path(conversation, 2, 1) == call
    assert part_path(conversation, 3, 0) == result
    assert part_path(conversation, 1, 1) == "messages[9].content[7]"
    assert message_path(conversation, 4) == "elsewhere"
    assert [tool_path(conversation, at) for at in (0, 1)] == ["tools[0]", "tools[0].functionDeclarations[1]"]


def test_fields() -> None:
    assert field_path("gemini.generate", "top_k") == "generationConfig.topK"
    assert field_path("ollama.generate", "top_k") == "options.top_k"
    assert field_path("openai.chat", "seed") == "seed"
    assert field_path("nobody", "seed") == "seed"
