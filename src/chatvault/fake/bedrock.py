"""Amazon Bedrock's dialects: Converse, and Anthropic's messages by `invoke`, both in AWS's frames where they stream
(https://docs.aws.amazon.com/bedrock/latest/APIReference/, seen 2026-11)."""

import re
from base64 import b64encode
from typing import Any

import msgspec

from chatvault.fake import anthropic
from chatvault.fake.answer import Answer, Event, Stream, json_answer
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import Toolbox, ask_about
from chatvault.fake.errors import Refusal
from chatvault.fake.frames import STREAM, event, exception
from chatvault.fake.models import unquoted
from chatvault.fake.plan import Plan
from chatvault.fake.reply import SURROGATE, Reply, compose, count
from chatvault.fake.request import Request
from chatvault.fake.usage import Counts

PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream)")
VERSION = "bedrock-2023-05-31"
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
PADDING = "abcdefghijklmnopqrstuvwxyz"
MARK = SURROGATE.encode()
EMPTY = "The content field in the Message object at messages.{} is empty."
UNDEFINED = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
BLANK = "The text field in the ContentBlock object at messages.{}.content.{} is blank."


class Config(msgspec.Struct):
    maxTokens: int | None = None
    stopSequences: list[str] = []


class ConverseRequest(msgspec.Struct):
    messages: list[dict[str, Any]]
    system: list[dict[str, Any]] = []
    inferenceConfig: Config = msgspec.field(default_factory=Config)
    toolConfig: dict[str, Any] = {}
    outputConfig: dict[str, Any] = {}


def model_of(path: str) -> str:
    """The model a path names; none where it is no path of Bedrock's."""
    found = PATH.fullmatch(path)
    return unquoted(found[1]) if found is not None else ""


def answer(request: Request) -> Answer:
    """Raises Refusal."""
    found = PATH.fullmatch(request.path)
    assert found is not None  # no other path leads here
    verb = found[2]
    if verb.startswith("invoke"):
        return _invoke(request, stream=verb != "invoke")
    return _converse(request, stream=verb != "converse")


def error_body(refusal: Refusal) -> bytes:
    """A whole error answer as JSON bytes."""
    return msgspec.json.encode({"message": refusal.message})


# --- Anthropic's messages


def _invoke(request: Request, *, stream: bool) -> Answer:
    body = request.decode(dict[str, Any])
    for name in ("model", "stream"):
        if name in body:
            raise Refusal(400, f"{name}: Extra inputs are not permitted", param=name)
    if body.get("anthropic_version") != VERSION:
        raise Refusal(400, f"anthropic_version: Input should be '{VERSION}'", param="anthropic_version")
    body |= {"model": model_of(request.path), "stream": stream}
    told = anthropic.messages(msgspec.structs.replace(request, body=msgspec.json.encode(body)))
    if not isinstance(told, Stream):
        return told
    return _framed([(_chunk(each.data), "chunk", each.delta) for each in told.events])


def _chunk(data: bytes) -> bytes:
    data = data.replace(MARK, b"\\ud800")
    return msgspec.json.encode({"bytes": b64encode(data).decode(), "p": PADDING[: len(data) % 26]})


# --- Converse


def _converse(request: Request, *, stream: bool) -> Answer:
    wish = request.decode(ConverseRequest)
    ask, plan = _ask(wish), request.plan
    reply = compose(ask, plan)
    counts = count(ask, plan, [reply])
    call = {"toolUseId": "tooluse_" + request.digest()[:22], "name": reply.tool.name} if reply.tool else None
    if stream:
        return _framed(_events(reply, call, counts, plan))
    block: dict[str, object] = (
        {"text": reply.text} if call is None else {"toolUse": {**call, "input": reply.arguments}}
    )
    content = [block] if reply.pieces or call is not None else []
    output = {"message": {"role": "assistant", "content": content}}
    return json_answer({"output": output, **_stop(reply, plan), **_usage(counts, plan)})


def _events(
    reply: Reply, call: dict[str, str] | None, counts: Counts, plan: Plan
) -> list[tuple[bytes, str, bool]]:
    found: list[tuple[str, dict[str, object], bool]] = [("messageStart", {"role": "assistant"}, False)]
    at: dict[str, object] = {"contentBlockIndex": 0}
    if call is not None:
        found.append(("contentBlockStart", {**at, "start": {"toolUse": call}}, False))
    for piece in reply.pieces:
        delta: object = {"text": piece} if call is None else {"toolUse": {"input": piece}}
        found.append(("contentBlockDelta", {**at, "delta": delta}, True))
    found.append(("contentBlockStop", at, False))
    if plan.finish:
        found.append(("messageStop", _stop(reply, plan), False))
    if plan.done:
        found.append(("metadata", {**_usage(counts, plan), "metrics": {"latencyMs": 1}}, False))
    return [
        (msgspec.json.encode({**said, "p": PADDING[: place % 26]}).replace(MARK, b"\\ud800"), name, delta)
        for place, (name, said, delta) in enumerate(found)
    ]


def _ask(wish: ConverseRequest) -> Ask:
    if not wish.messages:
        raise Refusal(400, "A conversation must start with a user message.", param="messages")
    turns = [Turn("system", _text(wish.system))] if wish.system else []
    called = False
    for place, message in enumerate(wish.messages):
        blocks = message.get("content") or []
        if not blocks:
            raise Refusal(400, EMPTY.format(place), param="messages")
        for index, block in enumerate(blocks):
            if not str(block.get("text", "x")).strip():
                raise Refusal(400, BLANK.format(place, index), param="messages")
            called = called or "toolUse" in block
            if "toolResult" in block:
                called = True
                turns.append(Turn("tool", _text(block["toolResult"]["content"])))
        if said := _text(blocks):
            turns.append(Turn(message["role"], said))
    tools = wish.toolConfig.get("tools", [])
    if called and not tools:
        raise Refusal(400, UNDEFINED, param="toolConfig")
    config = wish.inferenceConfig
    return ask_about(
        turns,
        limit=config.maxTokens,
        stop=tuple(config.stopSequences),
        tools=_tools(wish, tools),
        schema=_schema(wish),
    )


def _text(blocks: list[dict[str, Any]]) -> str:
    return "".join(block.get("text", "") for block in blocks)


def _tools(wish: ConverseRequest, tools: list[dict[str, Any]]) -> Toolbox:
    specs = [each["toolSpec"] for each in tools if "toolSpec" in each]
    named = wish.toolConfig.get("toolChoice", {}).get("tool", {}).get("name")
    return Toolbox([Tool(spec["name"], spec["inputSchema"]["json"]) for spec in specs], named, "toolChoice")


def _schema(wish: ConverseRequest) -> Any:
    form = wish.outputConfig.get("textFormat")
    return msgspec.json.decode(form["structure"]["jsonSchema"]["schema"]) if form else None


def _stop(reply: Reply, plan: Plan) -> dict[str, object]:
    if not plan.finish:
        return {}
    return {"stopReason": "stop_sequence" if reply.stopped_at else STOP_REASONS[reply.finish]}


def _usage(counts: Counts, plan: Plan) -> dict[str, object]:
    """Cached tokens stand beside the input, not in it; the total is the sum."""
    if plan.usage in ("none", "null"):
        return {} if plan.usage == "none" else {"usage": None}
    return {
        "usage": {
            "inputTokens": counts.prompt - counts.cached,
            "outputTokens": counts.output,
            "totalTokens": counts.prompt + counts.output,
            "cacheReadInputTokens": counts.cached,
            "cacheWriteInputTokens": 0,
        }
    }


def _framed(events: list[tuple[bytes, str, bool]]) -> Stream:
    broken = exception(
        "modelStreamErrorException", error_body(Refusal(424, "The simulated model broke off."))
    )
    return Stream(
        events=tuple(Event(event(name, data), delta=delta) for data, name, delta in events),
        broken=(Event(broken),),
        framing="raw",
        content_type=STREAM,
    )
