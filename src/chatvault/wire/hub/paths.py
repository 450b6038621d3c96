"""Where the client's request said it: the paths that `Dropped` lists, in the words of the dialect that was
read."""

from typing import Final

from chatvault.wire.hub.conversation import Conversation, Message
from chatvault.wire.hub.parts import ToolCall, ToolResult

_FIELDS: Final[dict[str, dict[str, str]]] = {
    "openai.chat": {
        "output": "response_format",
        "reasoning": "reasoning_effort",
        "max_output": "max_completion_tokens",
        "choices": "n",
        "parallel_tools": "parallel_tool_calls",
    },
    "openai.completions": {"max_output": "max_tokens", "choices": "n", "top_logprobs": "logprobs"},
    "openai.responses": {
        "output": "text.format",
        "max_output": "max_output_tokens",
        "parallel_tools": "parallel_tool_calls",
        "verbosity": "text.verbosity",
    },
    "anthropic.messages": {
        "output": "output_config.format",
        "reasoning": "thinking",
        "max_output": "max_tokens",
        "stop": "stop_sequences",
        "parallel_tools": "tool_choice.disable_parallel_tool_use",
        "user": "metadata.user_id",
    },
    "gemini.generate": {
        "tool_choice": "toolConfig.functionCallingConfig",
        "output": "generationConfig.responseSchema",
        "reasoning": "generationConfig.thinkingConfig",
        "max_output": "generationConfig.maxOutputTokens",
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "top_k": "generationConfig.topK",
        "presence_penalty": "generationConfig.presencePenalty",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "stop": "generationConfig.stopSequences",
        "seed": "generationConfig.seed",
        "choices": "generationConfig.candidateCount",
        "logprobs": "generationConfig.responseLogprobs",
        "top_logprobs": "generationConfig.logprobs",
        "modalities": "generationConfig.responseModalities",
        "metadata": "labels",
        "service_tier": "serviceTier",
    },
    "ollama.chat": {
        "output": "format",
        "reasoning": "think",
        "max_output": "options.num_predict",
        "temperature": "options.temperature",
        "top_p": "options.top_p",
        "top_k": "options.top_k",
        "presence_penalty": "options.presence_penalty",
        "frequency_penalty": "options.frequency_penalty",
        "stop": "options.stop",
        "seed": "options.seed",
    },
}
_LIKE: Final = {"ollama.generate": "ollama.chat"}
_MESSAGES: Final = {"openai.responses": "input", "gemini.generate": "contents"}
_SYSTEM: Final = {
    "openai.responses": "instructions",
    "anthropic.messages": "system",
    "gemini.generate": "systemInstruction",
}
"""Dialects whose system prompt is a field of its own, read as the first message."""
_PARTS: Final = {"gemini.generate": "parts"}


def field_path(origin: str, name: str) -> str:
    """The client's name of the hub's field `name`; the same name where the dialect has no other."""
    return _FIELDS.get(_LIKE.get(origin, origin), {}).get(name, name)


_SHOWN: Final = {
    "anthropic.messages": "thinking.display",
    "gemini.generate": "generationConfig.thinkingConfig.includeThoughts",
}


def shown_path(origin: str) -> str:
    """Where the client says whether it wants to see thoughts."""
    return _SHOWN.get(origin) or field_path(origin, "reasoning")


def message_path(conversation: Conversation, index: int) -> str:
    """Such as `messages[3]`, or `systemInstruction`."""
    origin, messages = conversation.origin, conversation.messages
    placed = messages[index].path
    if placed is not None:
        return placed
    system = _SYSTEM.get(origin)
    ahead = system is not None and bool(messages) and messages[0].role == "system"
    if ahead and index == 0:
        assert system is not None
        return system
    return f"{_MESSAGES.get(origin, 'messages')}[{index - ahead}]"


def part_path(conversation: Conversation, index: int, part: int) -> str:
    """Such as `messages[3].content[1]`. Where calls are a list of their own it is theirs:
    `messages[3].tool_calls[0]`."""
    message = conversation.messages[index]
    placed = message.parts[part].path
    if placed is not None:
        return placed
    base, origin = message_path(conversation, index), conversation.origin
    if origin in ("openai.chat", "ollama.chat"):
        return _listed_path(base, message, part)
    if origin == "openai.responses" or base == "system":
        return f"{base}[{part}]" if base == "system" else base
    return f"{base}.{_PARTS.get(origin, 'content')}[{part}]"


def _listed_path(base: str, message: Message, part: int) -> str:
    found = message.parts[part]
    if isinstance(found, ToolCall):
        at = sum(isinstance(each, ToolCall) for each in message.parts[:part])
        return f"{base}.tool_calls[{at}]"
    if isinstance(found, ToolResult):
        return base
    at = sum(not isinstance(each, ToolCall) for each in message.parts[:part])
    return f"{base}.content[{at}]"


def tool_path(conversation: Conversation, index: int) -> str:
    """Such as `tools[2]`, or `tools[0].functionDeclarations[2]`."""
    return conversation.tools[index].path or f"tools[{index}]"
