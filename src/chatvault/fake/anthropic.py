"""Anthropic's dialect: `POST /v1/messages` and `/v1/messages/count_tokens`
(https://docs.anthropic.com/en/api/messages, seen 2026-11)."""

from typing import Any

import msgspec

from chatvault.fake.answer import Answer, Event, Stream, json_answer, json_event
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import NO_TOOLS, Toolbox, ask_about
from chatvault.fake.errors import Refusal
from chatvault.fake.plan import Plan
from chatvault.fake.reply import Reply, compose, count
from chatvault.fake.request import Request
from chatvault.fake.usage import Counts

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
UNTHREADED = "thread_unsupported_request"
"""The library then sends the whole conversation."""
PING = json_event({"type": "ping"}, "ping")


class Block(msgspec.Struct):
    type: str = "text"
    text: str | None = None
    content: "str | list[Block] | None" = None
    """Of a tool's result."""


Content = str | list[Block]


class Message(msgspec.Struct):
    role: str
    content: Content


class NamedTool(msgspec.Struct):
    name: str
    input_schema: Any = None
    """None of tools that the provider runs itself, which are never called."""


class ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None


class OutputFormat(msgspec.Struct):
    type: str
    schema: Any = None


class OutputConfig(msgspec.Struct):
    format: OutputFormat | None = None


class CountRequest(msgspec.Struct):
    model: str
    messages: list[Message]
    system: Content | None = None
    tools: list[NamedTool] | None = None
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None


class MessagesRequest(CountRequest, kw_only=True):
    max_tokens: int
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    thread: Any = None


def messages(request: Request) -> Answer:
    """A message, whole or as its sequence of events. Raises Refusal."""
    wish = request.decode(MessagesRequest)
    if wish.thread:
        raise Refusal(400, "Nothing is kept between requests here.", code=UNTHREADED)
    ask, plan = _ask(wish, wish.max_tokens, tuple(wish.stop_sequences or ())), request.plan
    reply = compose(ask, plan)
    counts = count(ask, plan, [reply])
    head: dict[str, object] = {
        "id": "msg_" + request.digest()[:24],
        "type": "message",
        "role": "assistant",
        "model": wish.model,
    }
    call_id = "toolu_" + request.digest()[:24]
    if wish.stream:
        return _stream(head, reply, call_id, counts, plan)
    block: dict[str, object] = {"type": "text", "text": reply.text}
    if reply.tool is not None:
        block = {"type": "tool_use", "id": call_id, "name": reply.tool.name, "input": reply.arguments}
    content = [block] if reply.pieces or reply.tool is not None else []
    return json_answer({**head, "content": content, **_stop(reply, plan), **_usage(counts, plan)})


def count_tokens(request: Request) -> Answer:
    """The prompt's tokens, as a message would say them. Raises Refusal."""
    ask = _ask(request.decode(CountRequest), None, ())
    return json_answer({"input_tokens": ask.prompt})


def error_body(refusal: Refusal) -> bytes:
    """A whole error answer as JSON bytes."""
    told = _error(refusal.status, refusal.message)
    if refusal.code == UNTHREADED:
        told["error"] |= {"details": {"error_code": UNTHREADED, "unsupported": ["thread"]}}
    return msgspec.json.encode(told)


def _error(status: int, message: str) -> dict[str, Any]:
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


def _ask(wish: CountRequest, limit: int | None, stop: tuple[str, ...]) -> Ask:
    if not wish.messages:
        raise Refusal(400, "messages: at least one message is required", param="messages")
    turns = [Turn("system", _text(wish.system))] if wish.system else []
    for message in wish.messages:
        blocks = message.content if isinstance(message.content, list) else []
        results = [block for block in blocks if block.type == "tool_result"]
        turns.extend(Turn("tool", _text(result.content or "")) for result in results)
        if not results or _text(message.content):
            turns.append(Turn(message.role, _text(message.content)))
    wanted = wish.output_config.format if wish.output_config else None
    schema = wanted.schema if wanted is not None else None
    return ask_about(turns, limit=limit, stop=stop, tools=_tools(wish), schema=schema)


def _text(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.text or "" for block in content if block.type == "text")


def _tools(wish: CountRequest) -> Toolbox:
    choice = wish.tool_choice or ToolChoice("auto")
    if choice.type == "none":
        return NO_TOOLS
    there = [Tool(tool.name, tool.input_schema) for tool in wish.tools or () if tool.input_schema is not None]
    return Toolbox(there, choice.name)


def _stop(reply: Reply, plan: Plan) -> dict[str, object]:
    if not plan.finish:
        return {"stop_reason": None, "stop_sequence": None}
    reason = "stop_sequence" if reply.stopped_at else STOP_REASONS[reply.finish]
    return {"stop_reason": reason, "stop_sequence": reply.stopped_at}


def _usage(counts: Counts, plan: Plan, output: int | None = None) -> dict[str, object]:
    """The `usage` field: cached tokens stand beside the input, not in it."""
    if plan.usage in ("none", "null"):
        return {} if plan.usage == "none" else {"usage": None}
    told = {
        "input_tokens": counts.prompt - counts.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "output_tokens": counts.output if output is None else output,
        "service_tier": "standard",
    }
    return {"usage": told}


def _stream(head: dict[str, object], reply: Reply, call_id: str, counts: Counts, plan: Plan) -> Stream:
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None, **_usage(counts, plan, 1)}
    block: dict[str, object] = {"type": "text", "text": ""}
    kind, field = "text_delta", "text"
    if reply.tool is not None:
        block = {"type": "tool_use", "id": call_id, "name": reply.tool.name, "input": {}}
        kind, field = "input_json_delta", "partial_json"
    events = [
        _event("message_start", message=begun),
        _event("content_block_start", index=0, content_block=block),
        PING,
    ]
    for piece in reply.pieces:
        delta = {"type": kind, field: piece}
        events.append(_event("content_block_delta", index=0, delta=delta))
    events.append(_event("content_block_stop", index=0))
    if plan.finish:
        events.append(_event("message_delta", delta=_stop(reply, plan), **_usage(counts, plan)))
    if plan.done:
        events.append(_event("message_stop"))
    broken = json_event(_error(529, "The simulated model broke off."), "error")
    return Stream(events=tuple(events), broken=(broken,))


def _event(kind: str, **fields: object) -> Event:
    return json_event({"type": kind, **fields}, kind, delta=kind == "content_block_delta")
