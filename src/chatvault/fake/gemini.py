"""Gemini's dialect: `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent`, `:countTokens`, and
`GET /v1beta/models` (https://ai.google.dev/api/generate-content, seen 2026-11)."""

import re
from typing import Any

import msgspec

from chatvault.fake.answer import JSON, Answer, Event, Stream, json_answer, json_event
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import NO_TOOLS, Toolbox, ask_about, plain_schema
from chatvault.fake.errors import Refusal
from chatvault.fake.models import MODELS, unquoted
from chatvault.fake.plan import Plan
from chatvault.fake.reply import Reply, compose, count
from chatvault.fake.request import Request
from chatvault.fake.usage import Counts

UNDER = r"/v1(?:beta1?)?/(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?models/"
"""The Gemini API's, and Vertex AI's."""
PATH = re.compile(UNDER + r"(.+?):[A-Za-z]+|/v1beta/models/(.+)")
"""`/v1/models/{model}` without a verb is OpenAI's."""
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
JSON_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}


class _Camel(msgspec.Struct, rename="camel"):
    """Fields as proto's JSON names them."""


class Part(_Camel):
    text: str | None = None
    function_response: Any = None


class Content(_Camel):
    parts: list[Part] | None = None
    role: str = "user"


class Declaration(_Camel):
    name: str
    parameters: Any = None
    parameters_json_schema: Any = None
    json_schema: Any = msgspec.field(default=None, name="parameters_json_schema")
    """As Google's own library writes it."""

    @property
    def schema(self) -> Any:
        return self.parameters_json_schema or self.json_schema or plain_schema(self.parameters)


class Tools(_Camel):
    function_declarations: list[Declaration] | None = None


class Calling(_Camel):
    mode: str = "AUTO"
    allowed_function_names: list[str] | None = None


class ToolConfig(_Camel):
    function_calling_config: Calling | None = None


class Generation(_Camel):
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    candidate_count: int | None = None
    response_mime_type: str | None = None
    response_schema: Any = None
    response_json_schema: Any = None


class GenerateRequest(_Camel):
    contents: list[Content]
    system_instruction: Content | None = None
    generation_config: Generation | None = None
    tools: list[Tools] | None = None
    tool_config: ToolConfig | None = None


class CountRequest(_Camel):
    contents: list[Content] | None = None
    generate_content_request: GenerateRequest | None = None


def model_of(path: str) -> str:
    """The model that one of the paths names; empty if it names none."""
    found = PATH.fullmatch(path)
    return unquoted(found[1] or found[2]) if found is not None else ""


def generate(request: Request) -> Answer:
    """A whole answer. Raises Refusal."""
    replies, counts = _answer(request)
    candidates = [_candidate(reply, index, request.plan) for index, reply in enumerate(replies)]
    return json_answer(_chunk(request, candidates, counts))


def stream_generate(request: Request) -> Answer:
    """Server-sent events with `alt=sse`, else one array that grows. Raises Refusal."""
    replies, counts = _answer(request)
    plan, events, sent = request.plan, list[Event](), 0
    for index, reply in enumerate(replies):
        for part, tokens in _parts(reply):
            sent += len(tokens)
            so_far = Counts(prompt=counts.prompt, cached=counts.cached, output=sent)
            chunk = _chunk(request, [{"content": _content([part]), "index": index}], so_far)
            events.append(json_event(chunk, delta=True))
    if plan.finish:
        last = [
            {"content": _content([{"text": ""}]), "finishReason": _finish(reply), "index": index}
            for index, reply in enumerate(replies)
        ]
        events.append(json_event(_chunk(request, last, counts)))
    broken = (json_event(_error(503, "The simulated model broke off.")),)
    if "alt=sse" in request.query.split("&"):
        return Stream(events=tuple(events), broken=broken)
    return Stream(
        events=tuple(events), broken=broken, framing="array" if plan.done else "open-array", content_type=JSON
    )


def count_tokens(request: Request) -> Answer:
    """The prompt's tokens, as an answer would say them. Raises Refusal."""
    wish = request.decode(CountRequest)
    asked = wish.generate_content_request or GenerateRequest(contents=wish.contents or [])
    tokens = _ask(asked, Generation()).prompt
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return json_answer({"totalTokens": tokens, "promptTokensDetails": details})


def list_models(request: Request) -> Answer:
    """The models by name."""
    return json_answer({"models": [_model(name) for name in MODELS]})


def show_model(request: Request) -> Answer:
    """Any model, since every name answers."""
    return json_answer(_model(model_of(request.path)))


def error_body(refusal: Refusal) -> bytes:
    """A whole error answer as JSON bytes."""
    return msgspec.json.encode(_error(refusal.status, refusal.message))


def _error(status: int, message: str) -> dict[str, object]:
    kind = STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": kind}}


def _model(name: str) -> dict[str, object]:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": METHODS,
    }


def _answer(request: Request) -> tuple[list[Reply], Counts]:
    wish = request.decode(GenerateRequest)
    generation = wish.generation_config or Generation()
    ask, plan = _ask(wish, generation), request.plan
    number = max(1, min(generation.candidate_count or 1, 8))
    replies = [compose(ask, plan, index) for index in range(number)]
    return replies, count(ask, plan, replies)


def _ask(wish: GenerateRequest, generation: Generation) -> Ask:
    if not wish.contents:
        raise Refusal(400, "* GenerateContentRequest.contents: contents is not specified", param="contents")
    turns = [Turn("system", _text(wish.system_instruction))] if wish.system_instruction else []
    for content in wish.contents:
        results = [part for part in content.parts or () if part.function_response is not None]
        turns.extend(Turn("tool", _result(part.function_response)) for part in results)
        if not results or _text(content):
            turns.append(Turn(content.role, _text(content)))
    schema = generation.response_json_schema or plain_schema(generation.response_schema)
    if schema is None and generation.response_mime_type == JSON:
        schema = JSON_OBJECT
    return ask_about(
        turns,
        limit=generation.max_output_tokens,
        stop=tuple(generation.stop_sequences or ()),
        tools=_tools(wish),
        schema=schema,
    )


def _text(content: Content) -> str:
    return "".join(part.text or "" for part in content.parts or ())


def _result(response: Any) -> str:
    """A tool's result as text: alone under a name if it is nothing but a text, else as JSON."""
    value = response.get("response") if isinstance(response, dict) else response
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _tools(wish: GenerateRequest) -> Toolbox:
    calling = (wish.tool_config and wish.tool_config.function_calling_config) or Calling()
    if calling.mode == "NONE":
        return NO_TOOLS
    there = [
        Tool(each.name, each.schema)
        for group in wish.tools or ()
        for each in group.function_declarations or ()
    ]
    names = calling.allowed_function_names
    return Toolbox(there, names[0] if names else None, "allowedFunctionNames")


def _parts(reply: Reply) -> list[tuple[dict[str, object], tuple[str, ...]]]:
    """The parts of a streamed answer, each with the tokens it stands for; a call comes whole."""
    if reply.tool is not None:
        return [({"functionCall": {"name": reply.tool.name, "args": reply.arguments}}, reply.pieces)]
    return [({"text": piece}, (piece,)) for piece in reply.pieces]


def _content(parts: list[dict[str, object]]) -> dict[str, object]:
    return {"parts": parts, "role": "model"}


def _finish(reply: Reply) -> str:
    return "MAX_TOKENS" if reply.finish == "length" else "STOP"


def _candidate(reply: Reply, index: int, plan: Plan) -> dict[str, object]:
    part: dict[str, object] = {"text": reply.text}
    if reply.tool is not None:
        part = _parts(reply)[0][0]
    finish = {"finishReason": _finish(reply)} if plan.finish else {}
    return {"content": _content([part]), **finish, "index": index}


def _chunk(request: Request, candidates: list[dict[str, object]], counts: Counts) -> dict[str, object]:
    """A whole answer, or a chunk of a stream with the usage so far. Thoughts stand beside the candidates' tokens."""
    told: dict[str, object] = {
        "promptTokenCount": counts.prompt,
        "candidatesTokenCount": counts.output - counts.reasoning,
        "totalTokenCount": counts.prompt + counts.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.prompt}],
    }
    if counts.reasoning:
        told["thoughtsTokenCount"] = counts.reasoning
    if counts.cached:
        told["cachedContentTokenCount"] = counts.cached
    mode = request.plan.usage
    usage: dict[str, object] = {} if mode == "none" else {"usageMetadata": None if mode == "null" else told}
    model = model_of(request.path)
    return {
        "candidates": candidates,
        **usage,
        "modelVersion": model,
        "responseId": request.digest()[:22],
    }
