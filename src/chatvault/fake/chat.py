"""`POST /v1/chat/completions`."""

from typing import Any

import msgspec

from chatvault.fake.answer import Answer, Event, Stream, json_answer, json_event
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import NO_TOOLS, Toolbox, ask_about
from chatvault.fake.errors import Refusal, error_object
from chatvault.fake.plan import Plan
from chatvault.fake.reply import Reply, compose, count
from chatvault.fake.request import CREATED, Request
from chatvault.fake.usage import Counts, chat_usage

DONE = Event(b"[DONE]")


class Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class Message(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class NamedTool(msgspec.Struct):
    name: str
    parameters: Any = None


class ChatTool(msgspec.Struct):
    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None


class SchemaFormat(msgspec.Struct):
    schema: Any = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: SchemaFormat | None = None


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    tools: list[ChatTool] | None = None
    tool_choice: str | ChatTool | None = None
    response_format: ResponseFormat | None = None


def chat(request: Request) -> Answer:
    """A chat completion, whole or streamed. Raises Refusal."""
    wish = request.decode(ChatRequest)
    if not wish.messages:
        raise Refusal(400, "There must be at least one message.", param="messages")
    ask, plan = _ask(wish), request.plan
    replies = [compose(ask, plan, index) for index in range(max(1, min(wish.n or 1, 128)))]
    counts = count(ask, plan, replies)
    head: dict[str, object] = {
        "id": "chatcmpl-" + request.digest()[:29],
        "object": "chat.completion.chunk" if wish.stream else "chat.completion",
        "created": CREATED,
        "model": wish.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    if wish.stream:
        asked = wish.stream_options is not None and bool(wish.stream_options.include_usage)
        openings, bodies, closings = [], [], []
        for index, reply in enumerate(replies):
            opening, body, closing = _deltas(reply, index, request.digest(), bool(wish.logprobs))
            openings.append(opening)
            bodies.extend(body)
            closings.append(closing)
        return chunk_stream(head, [*openings, *bodies], closings, counts, plan, asked=asked)
    choices = [_choice(reply, index, request.digest(), wish) for index, reply in enumerate(replies)]
    return json_answer({**head, "choices": choices, **whole_usage(counts, plan)})


def whole_usage(counts: Counts, plan: Plan) -> dict[str, object]:
    """The `usage` field of a whole answer, as the plan has it."""
    if plan.usage == "none":
        return {}
    return {"usage": None if plan.usage == "null" else chat_usage(counts)}


def chunk_stream(
    head: dict[str, object],
    opening: list[dict[str, object]],
    closing: list[dict[str, object]],
    counts: Counts,
    plan: Plan,
    *,
    asked: bool,
) -> Stream:
    """The events of a chat or text completion: one for each choice given, then usage and `[DONE]`.

    Chunks say `usage: null` only if usage was asked for; an extra chunk without choices then brings it.
    """
    null: dict[str, object] = {"usage": None} if asked and plan.usage != "none" else {}
    events, sent = [], 0
    for choice in opening:
        content = _has_content(choice)
        sent += content
        if plan.usage == "every-chunk":
            so_far = Counts(prompt=counts.prompt, cached=counts.cached, output=sent)
            null = {"usage": chat_usage(so_far)}
        events.append(json_event({**head, "choices": [choice], **null}, delta=content))
    last: dict[str, object] = null
    if plan.usage in ("last-chunk", "every-chunk"):
        last = {"usage": chat_usage(counts)}
    for position, choice in enumerate(closing if plan.finish else []):
        field = last if position == len(closing) - 1 else null
        events.append(json_event({**head, "choices": [choice], **field}, delta=position == 0))
    if plan.usage == "unasked" or (asked and plan.usage == "normal"):
        events.append(json_event({**head, "choices": [], "usage": chat_usage(counts)}))
    if plan.done:
        events.append(DONE)
    broken = json_event(
        {"error": error_object(500, "The simulated model broke off.", code="simulated_error")}
    )
    return Stream(events=tuple(events), broken=(broken,))


def _has_content(choice: dict[str, object]) -> bool:
    delta = choice.get("delta")
    return "role" not in delta if isinstance(delta, dict) else True


def _ask(wish: ChatRequest) -> Ask:
    stop = wish.stop if isinstance(wish.stop, list) else [wish.stop] if wish.stop else []
    limit = wish.max_tokens if wish.max_completion_tokens is None else wish.max_completion_tokens
    return ask_about(
        [Turn(message.role, message.text) for message in wish.messages],
        limit=limit,
        stop=tuple(stop),
        tools=_tools(wish),
        schema=_schema(wish.response_format),
    )


def _schema(wanted: ResponseFormat | None) -> object:
    match wanted:
        case ResponseFormat(type="json_schema", json_schema=SchemaFormat(schema=schema)):
            return schema if schema is not None else {"type": "object"}
        case ResponseFormat(type="json_object"):
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case _:
            return None


def _tools(wish: ChatRequest) -> Toolbox:
    if not wish.tools or wish.tool_choice == "none":
        return NO_TOOLS
    chosen = _as_tool(wish.tool_choice) if isinstance(wish.tool_choice, ChatTool) else None
    there = [tool for tool in map(_as_tool, wish.tools) if tool is not None]
    return Toolbox(there, chosen.name if chosen is not None else None)


def _as_tool(tool: ChatTool) -> Tool | None:
    if tool.function is not None:
        return Tool(tool.function.name, tool.function.parameters)
    return Tool(tool.custom.name, custom=True) if tool.custom is not None else None


def _call(tool: Tool, text: str, digest: str, index: int) -> dict[str, object]:
    kind, field = ("custom", "input") if tool.custom else ("function", "arguments")
    return {"id": f"call_{index}{digest[:23]}", "type": kind, kind: {"name": tool.name, field: text}}


def _logprobs(parts: tuple[str, ...], *, wanted: bool) -> dict[str, object] | None:
    if not wanted:
        return None
    tokens = [{"token": p, "logprob": -0.5, "bytes": list(p.encode()), "top_logprobs": []} for p in parts]
    return {"content": tokens, "refusal": None}


def _choice(reply: Reply, index: int, digest: str, wish: ChatRequest) -> dict[str, object]:
    message: dict[str, object] = {
        "role": "assistant",
        "content": reply.text,
        "refusal": None,
        "annotations": [],
    }
    if reply.tool is not None:
        message |= {"content": None, "tool_calls": [_call(reply.tool, reply.text, digest, index)]}
    logprobs = _logprobs(reply.pieces, wanted=bool(wish.logprobs) and reply.tool is None)
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reply.finish}


Chunks = tuple[dict[str, object], list[dict[str, object]], dict[str, object]]


def _deltas(reply: Reply, index: int, digest: str, logprobs: bool) -> Chunks:
    """The choices of a stream's chunks: the one with the role, those with content, the one that ends it."""

    def chunk(
        delta: dict[str, object], finish: str | None = None, tokens: object = None
    ) -> dict[str, object]:
        return {"index": index, "delta": delta, "logprobs": tokens, "finish_reason": finish}

    tool = reply.tool
    if tool is None:
        opening = chunk({"role": "assistant", "content": "", "refusal": None})
        body = [chunk({"content": p}, None, _logprobs((p,), wanted=logprobs)) for p in reply.pieces]
    else:
        kind, field = ("custom", "input") if tool.custom else ("function", "arguments")
        call = {"index": 0, **_call(tool, "", digest, index)}
        opening = chunk({"role": "assistant", "content": None, "tool_calls": [call], "refusal": None})
        body = [chunk({"tool_calls": [{"index": 0, kind: {field: part}}]}) for part in reply.pieces]
    return opening, body, chunk({}, reply.finish)
