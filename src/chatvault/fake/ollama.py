"""Ollama's dialect: `POST /api/chat`, `GET /api/tags` and `/api/version`
(https://docs.ollama.com/api, seen 2026-11)."""

from typing import Any

import msgspec

from chatvault.fake.answer import Answer, Stream, json_answer, json_event
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import Toolbox, ask_about
from chatvault.fake.errors import Refusal
from chatvault.fake.models import MODELS
from chatvault.fake.plan import Plan
from chatvault.fake.reply import Reply, compose, count
from chatvault.fake.request import Request
from chatvault.fake.usage import Counts

LINES = "application/x-ndjson"
AT = "2025-06-15T15:06:40Z"
JSON_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}


class Message(msgspec.Struct):
    role: str
    content: str = ""


class Function(msgspec.Struct):
    name: str
    parameters: Any = None


class ChatTool(msgspec.Struct):
    function: Function
    type: str = "function"


class Options(msgspec.Struct):
    num_predict: int | None = None
    stop: str | list[str] | None = None


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[Message] = []
    stream: bool = True
    tools: list[ChatTool] | None = None
    format: Any = None
    options: Options | None = None


def chat(request: Request) -> Answer:
    """An answer, as lines unless `stream` is false. Raises Refusal."""
    wish = request.decode(ChatRequest)
    ask, plan = _ask(wish), request.plan
    reply = compose(ask, plan)
    counts = count(ask, plan, [reply])
    if not wish.stream:
        return json_answer(_line(wish, _message(reply), **_ended(reply, counts, plan)))
    spoken: list[dict[str, object]] = (
        [_message(reply)]
        if reply.tool is not None
        else [{"role": "assistant", "content": piece} for piece in reply.pieces]
    )
    events = [json_event(_line(wish, message, done=False), delta=True) for message in spoken]
    if plan.done:
        last = _line(wish, {"role": "assistant", "content": ""}, **_ended(reply, counts, plan))
        events.append(json_event(last))
    broken = json_event({"error": "The simulated model broke off."})
    return Stream(events=tuple(events), broken=(broken,), framing="lines", content_type=LINES)


def tags(request: Request) -> Answer:
    """The models by name."""
    return json_answer({"models": [_model(name) for name in MODELS]})


def version(request: Request) -> Answer:
    """The version whose shapes these are."""
    return json_answer({"version": "0.13.0"})


def error_body(refusal: Refusal) -> bytes:
    """A whole error answer as JSON bytes."""
    return msgspec.json.encode({"error": refusal.message})


def _model(name: str) -> dict[str, object]:
    details = {"format": "gguf", "family": "simulated", "parameter_size": "1B", "quantization_level": "Q4_0"}
    return {
        "name": name,
        "model": name,
        "modified_at": AT,
        "size": 1,
        "digest": "0" * 64,
        "details": details,
    }


def _ask(wish: ChatRequest) -> Ask:
    options = wish.options or Options()
    stop = options.stop if isinstance(options.stop, list) else [options.stop] if options.stop else []
    limit = options.num_predict
    tools = [Tool(tool.function.name, tool.function.parameters) for tool in wish.tools or ()]
    if not wish.messages:
        raise Refusal(400, "messages are missing", param="messages")
    return ask_about(
        [Turn(message.role, message.content) for message in wish.messages],
        limit=limit if limit is not None and limit >= 0 else None,
        stop=tuple(stop),
        tools=Toolbox(tools),
        schema=JSON_OBJECT if wish.format == "json" else wish.format or None,
    )


def _line(wish: ChatRequest, message: dict[str, object], **fields: object) -> dict[str, object]:
    return {"model": wish.model, "created_at": AT, "message": message, **fields}


def _message(reply: Reply) -> dict[str, object]:
    if reply.tool is None:
        return {"role": "assistant", "content": reply.text}
    call = {"function": {"name": reply.tool.name, "arguments": reply.arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def _ended(reply: Reply, counts: Counts, plan: Plan) -> dict[str, object]:
    """What the last line says beside its message. Calls end with `stop`, too; durations are nanoseconds."""
    ended: dict[str, object] = {"done": True}
    if plan.finish:
        ended["done_reason"] = "length" if reply.finish == "length" else "stop"
    ended |= {"total_duration": 3_000_000, "load_duration": 1_000_000}
    if plan.usage != "none":
        told = plan.usage != "null"
        ended["prompt_eval_count"] = counts.prompt if told else None
        ended["eval_count"] = counts.output if told else None
    return {**ended, "prompt_eval_duration": 1_000_000, "eval_duration": 1_000_000}
