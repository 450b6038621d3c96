"""What is asked: a request in nobody's dialect."""

from typing import Literal

import msgspec

from chatvault.wire.hub.parts import AnyPart, Media, Text, Unknown
from chatvault.wire.hub.search import WebSearch

Role = Literal["user", "assistant", "system", "developer"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Tool results are parts of `user` messages, tool calls and thoughts of `assistant` ones. `system` and
    `developer` messages keep their place among the others; those before all others are the system prompt."""

    role: Role
    parts: tuple[AnyPart, ...]
    name: str | None = None
    origin: str | None = None
    extra: dict[str, msgspec.Raw] | None = None
    path: str | None = None
    """Where it stands in the client's request, as of a part."""


class Tool(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A tool the client runs (`schema` is JSON Schema text, None: no parameters), or a custom one with free
    text as its input."""

    name: str
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None
    custom: bool = False
    cache: str | None = None
    origin: str | None = None
    extra: dict[str, msgspec.Raw] | None = None
    path: str | None = None
    """Where it stands in the client's request; None: `tools[i]`."""


class ServerTool(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A tool the provider runs. `kind` is `web_search`, `code_execution`, ... where two dialects share it,
    else its type at `origin`; `raw` is the definition there."""

    kind: str
    origin: str
    raw: msgspec.Raw
    search: WebSearch | None = None
    """Of a search of the web."""
    path: str | None = None
    """Where it stands in the client's request; None: `tools[i]`."""


class ToolChoice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """`named` demands the tool `name`; `names` narrows what may be called."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    names: tuple[str, ...] = ()


class Output(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """The form of the answer. `schema` is JSON Schema text."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """How much to think. `effort` in the words of OpenAI (`none`, `minimal`, `low`, `medium`, `high`,
    `xhigh`, `max`), `budget` in tokens; each dialect's writer takes the one it knows, and translates the
    other by the table in `effort.py`. `show`: thoughts are asked for; `summary` is the kind of summary asked
    for. `adaptive`: the model decides."""

    effort: str | None = None
    budget: int | None = None
    show: bool | None = None
    summary: str | None = None
    adaptive: bool = False


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """None means: not said. `extra` is what only `origin` understands, by top-level field name, as it came.
    `said` is what the other fields tell in full, in the words of `origin` where it has several for it:
    written there instead, and of no concern to any other."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    stream_usage: bool = False
    """The client of a stream asked for the usage at its end (only OpenAI's chat lets it say so)."""
    tools: tuple[Tool | ServerTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    choices: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    modalities: tuple[str, ...] = ()
    verbosity: str | None = None
    origin: str
    extra: dict[str, msgspec.Raw] = {}
    said: dict[str, msgspec.Raw] = {}


ResultPart = Text | Media | Unknown
