"""No documented field of a request is lost without a word: in every other dialect it changes what is asked, or its path
is among what was dropped, or the request is refused for it."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypedDict

import ollama
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming as ChatCreateParamsNonStreaming,
)
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from chatvault.core.errors import ClientError
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.ollama.dialect import OLLAMA
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from tests.wire.hub.documented import Case, cases

DIALECTS: Final[dict[str, ConversationDialect]] = {
    each.name: each for each in (ChatDialect(), ResponsesDialect(), MESSAGES, GEMINI, OLLAMA)
}


class GeminiRequest(TypedDict, total=False):
    """Google's library has no type for the whole (https://ai.google.dev/api/generate-content, seen 2026-11)."""

    contents: list[types.Content]
    systemInstruction: types.Content
    tools: list[types.Tool]
    toolConfig: types.ToolConfig
    safetySettings: list[types.SafetySetting]
    generationConfig: types.GenerationConfig
    cachedContent: str
    labels: dict[str, str]
    serviceTier: str
    store: bool


KINDS: Final[dict[str, Any]] = {
    "openai.chat": ChatCreateParamsNonStreaming,
    "openai.responses": ResponseCreateParamsNonStreaming,
    "anthropic.messages": MessageCreateParamsNonStreaming,
    "gemini.generate": GeminiRequest,
    "ollama.chat": ollama._types.ChatRequest,
}
HI: Final[list[Any]] = [{"role": "user", "content": "hi"}]
LEAST: Final[dict[str, dict[str, Any]]] = {
    "openai.chat": {"model": "m", "messages": HI},
    "openai.responses": {"model": "m", "input": HI},
    "anthropic.messages": {"model": "m", "max_tokens": 100, "messages": HI},
    "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "ollama.chat": {"model": "m", "messages": HI, "stream": False},
}
TOOLS: Final[dict[str, list[Any]]] = {
    "openai.chat": [{"type": "function", "function": {"name": "f"}}],
    "openai.responses": [{"type": "function", "name": "f"}],
    "anthropic.messages": [{"name": "f", "input_schema": {"type": "object"}}],
    "gemini.generate": [{"functionDeclarations": [{"name": "f"}]}],
}
"""What a choice among tools needs to mean something."""
_OF_TOOLS: Final = frozenset(("tool_choice", "parallel_tool_calls", "function_call", "toolConfig"))
MEANT: Final[tuple[tuple[str, str, str], ...]] = (
    # What every dialect does where nothing is said.
    ("", r"stream|stream_options.*|truncation|n|.*candidateCount", ".*"),
    ("", r"service_tier|serviceTier", '"(auto|default|standard|standard_only|unspecified)"'),
    ("", r"parallel_tool_calls", "true"),
    ("", r"modalities|generationConfig\.responseModalities", r'\["(text|TEXT)"\]'),
    ("", r"response_format|text\.format", r'\{"type": "text"\}'),
    ("", r"generationConfig\.responseMimeType", ".*"),
    ("", r"(tool_choice|function_call)", r'("auto"|\{"type": "auto"\}|"none")'),
    ("", r"toolConfig\.functionCallingConfig(\.mode)?", r'.*"(AUTO|NONE|VALIDATED|MODE_UNSPECIFIED)".*|\{\}'),
    ("", r".*\.detail", '"auto"'),
    ("", r"tools\[0\]\.type", '"custom"'),
    ("", r"input\[0\]\.type", '"message"'),
    # No thinking: what models of other dialects do unless they are told to; or the model decides, as all that think do.
    ("", r"(reasoning|reasoning_effort|reasoning\.effort|think)", r'"none"|\{\}|false|true'),
    ("anthropic.messages", r"thinking", r'\{"type": "(adaptive|disabled)"\}'),
    ("anthropic.messages", r"thinking\.display", '"(summarized|omitted)"'),
    # Bookkeeping of items that are stored; nothing is, here.
    ("openai.responses", r"input\[0\]\.(id|status)", ".*"),
    (
        "openai.responses",
        r"include",
        r'\["(reasoning\.encrypted_content|web_search_call\.action\.sources)"\]',
    ),
    # Gemini and Ollama hold every answer to its schema.
    ("openai.responses", r"text\.format\.strict", "true"),
    # Anthropic's thoughts are shown unless that is told otherwise.
    ("gemini.generate", r"generationConfig\.thinkingConfig\.includeThoughts", "true"),
    # A schema without a type takes null; an order of properties that there are none of; a role that is not looked at.
    (
        "gemini.generate",
        r"generationConfig\.responseSchema\..*(nullable|propertyOrdering)|.*Schema\.nullable",
        ".*",
    ),
    ("gemini.generate", r"generationConfig\.responseSchema\.propertyOrdering|systemInstruction\.role", ".*"),
    # Nothing is said.
    ("openai.chat", r"messages\[0\]", r'\{"role": "assistant"\}'),
    ("", r".*", r'\{\}|\[\]|\[\{\}\]|""'),
    ("", r".*user_location(\.type)?", r'\{"type": "approximate"\}|"approximate"'),
)
"""By dialect (all of them: empty), path and value: what needs no word in another dialect."""
INSIDE: Final = ("search_result",)
"""Blocks that are told by their words, and reported by their kind as a whole."""


def requests() -> Iterator[Any]:
    for dialect, kind in KINDS.items():
        names = dict.fromkeys(re.split(r"[.\[]", case.path)[0] for case in cases(kind, ""))
        for name in names:
            yield pytest.param(dialect, name, id=f"{dialect}-{name}")


def body(dialect: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A request with the field `name` of `value`."""
    out = dict(LEAST[dialect])
    if name in _OF_TOOLS:
        out["tools"] = TOOLS.get(dialect, [])
    if name not in value or name in ("model", "max_tokens", "stream"):
        return out
    listed = name in ("messages", "input", "contents") and isinstance(value[name], list)
    out[name] = [*out[name], *value[name]] if listed else value[name]
    return out


def told(dialect: str, target: str, asked: dict[str, Any]) -> tuple[bytes | None, tuple[str, ...]]:
    """What `target` is asked, and what was dropped; None and the path at fault, where it is refused."""
    dropped = Dropped()
    try:
        said = DIALECTS[dialect].read_request(json.dumps(asked).encode(), model="m", stream=False)
        return DIALECTS[target].write_request(said, dropped), dropped.paths
    except ClientError as error:
        return None, (error.param or "no path",)


def covers(path: str, reported: str) -> bool:
    """The report is of the field, or of what it stands in, or of something in it."""
    field, said = re.sub(r"\[\d+\]", "", path), re.sub(r"\[\d+\]", "", reported)
    for kind in INSIDE:
        said = said.removesuffix(f".{kind}")
    return field == said or field.startswith(f"{said}.") or said.startswith(f"{field}.")


def value_at(case: Case) -> str:
    value: Any = case.there
    for step in re.findall(r"\[(\d+)\]|([^.\[\]]+)", case.path):
        value = value[int(step[0])] if step[0] else value[step[1]]
    return json.dumps(value)


def meant(dialect: str, case: Case) -> bool:
    said = value_at(case)
    return any(
        whose in ("", dialect) and re.fullmatch(path, case.path) and re.fullmatch(value, said)
        for whose, path, value in MEANT
    )


def lost(dialect: str, name: str) -> Iterator[str]:
    for case in cases(KINDS[dialect], ""):
        if re.split(r"[.\[]", case.path)[0] != name or meant(dialect, case):
            continue
        there, gone = body(dialect, name, case.there), body(dialect, name, case.gone)
        if there == gone:
            continue
        for target in DIALECTS.keys() - {dialect}:
            said, dropped = told(dialect, target, there)
            if dropped == ("no path",):
                yield f"{case.path} = {value_at(case)[:80]} is refused without a path in {target}"
            if said is None or any(covers(case.path, each) for each in dropped):
                continue
            before, dropped_before = told(dialect, target, gone)
            if said == before and not set(dropped) - set(dropped_before):
                yield f"{case.path} = {value_at(case)[:80]} in {target}"


@pytest.mark.parametrize(("dialect", "name"), list(requests()))
def test_no_field_is_lost_without_a_word(dialect: str, name: str) -> None:
    found = sorted(lost(dialect, name))
    assert not found, "\n".join(found)
