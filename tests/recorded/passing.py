"""One recorded exchange through a running gateway, in its own dialect: what arrives at either end, and what is on record."""

import json
import re
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chatvault.audit.lines import Closed
from tests.recorded.asking import Answer
from tests.recorded.exchanges import Exchange, digest
from tests.recorded.provider_says import Says

FILES: Final = (
    "openai.chat",
    "openai.responses",
    "openai.completions",
    "openai.embeddings",
    "openai.moderations",
    "anthropic.messages",
    "anthropic.count_tokens",
    "vertex.anthropic",
    "gemini.generate",
    "gemini.stream",
    "gemini.embed",
    "ollama.chat",
    "ollama.generate",
    "ollama.embed",
    "images",
    "audio",
    "rerank",
    "cohere.chat",
)
_PATHS: Final = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "openai.completions": "/v1/completions",
    "openai.embeddings": "/v1/embeddings",
    "openai.moderations": "/v1/moderations",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
    "vertex.anthropic": "/v1/messages",
    "ollama.chat": "/api/chat",
    "ollama.generate": "/api/generate",
    "ollama.embed": "/api/embeddings",
    "rerank": "/v1/rerank",
    "cohere.chat": "/v1/chat",
}
ACCOUNT: Final = ("account.chat", "account.organization")
"""Endpoints that a token must name: Cohere's own chat lies below a path of OpenAI's stored objects."""
CONVERSATIONS: Final = frozenset(
    (
        "openai.chat", "openai.responses", "openai.completions", "anthropic.messages", "vertex.anthropic",
        "gemini.generate", "gemini.stream", "ollama.chat", "ollama.generate",
    )
)  # fmt: skip
_JSON_ONLY: Final = CONVERSATIONS | {"openai.embeddings", "openai.moderations"}
_USAGE_ASKED: Final = frozenset(("openai.chat", "openai.completions"))
_COUNTED: Final = _JSON_ONLY | {"images"}
"""Where the record has the provider's usage: Cohere's own API, rerank, audio and token counts have shapes of their own."""
_KEPT_BACK: Final = frozenset(
    ("server-timing", "x-request-id", "content-length", "transfer-encoding", "content-encoding", "connection")
)
_FORM: Final = "multipart/form-data; boundary=edge"


class Asked(msgspec.Struct):
    """The client's request, and how the provider must get it."""

    method: str
    path: str
    kind: str
    body: bytes
    arrives_at: str
    arrives: bytes
    hides: bool = False
    """The client did not ask for the usage event that the gateway asks for."""

    def request(self, token: str) -> bytes:
        head = f"{self.method} {self.path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n"
        return (
            f"{head}content-type: {self.kind}\r\ncontent-length: {len(self.body)}\r\n\r\n".encode()
            + self.body
        )


def is_served(file: str, exchange: Exchange) -> bool:
    """Gemini's paths take names of models that need no escapes."""
    return not file.startswith("gemini") or "%" not in exchange.path


def asked(file: str, exchange: Exchange) -> Asked:
    """By its digest, half of the exchanges ask for a public name that the provider knows by another."""
    said: Any = exchange.request_body
    choice = digest(exchange)[0]
    public, model = _names(exchange, renamed=choice % 2 == 0)
    path, arrives_at = _paths(file, exchange, public, model)
    if exchange.method == "GET":
        return Asked("GET", path, "application/json", b"", arrives_at, b"")
    if path.rsplit("/", 1)[-1] in ("transcriptions", "translations", "edits", "variations"):
        return Asked("POST", path, _FORM, _form(public), arrives_at, _form(model))
    if not isinstance(said, dict):
        said = _least(file, exchange)
    sent, gets = ({**said, "model": name} for name in (public, model))
    if file.startswith("gemini"):
        sent = gets = said
    hides = False
    if file in _USAGE_ASKED and said.get("stream"):
        options = said.get("stream_options") or {}
        hides = options.get("include_usage") is not True
        if hides:
            wanted = {**options, "include_usage": True}
            gets = gets | {"stream_options": wanted} if "stream_options" in gets else gets
    body, arrives = _written(sent, choice), _written(gets, choice)
    if hides and "stream_options" not in gets:
        arrives = arrives.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    return Asked("POST", path, "application/json", body, arrives_at, arrives, hides)


def _names(exchange: Exchange, renamed: bool) -> tuple[str, str]:
    said = exchange.request_body.get("model") if isinstance(exchange.request_body, dict) else None
    in_path = re.search(r"/models/([^:/?]+):", exchange.path)
    model = said or (in_path[1] if in_path else "a-model")
    return f"recorded/{model}" if renamed else model, model


def _paths(file: str, exchange: Exchange, public: str, model: str) -> tuple[str, str]:
    """Where the client asks, and where the provider is asked."""
    if exchange.method == "GET":
        path = "/v1/" + exchange.path.removeprefix("/").removeprefix("v1/")
        return path, path
    if file.startswith("gemini"):
        verb = re.search(r":(\w+)$", exchange.path)
        named = "streamGenerateContent" if exchange.streaming else "generateContent"
        events = "data:" in (exchange.response_body or "")[:5]
        query = "?alt=sse" if "alt=sse" in exchange.url or events else ""
        asked = f":{verb[1] if verb else named}{query}"
        return f"/v1beta/models/{public}{asked}", f"/v1beta/models/{quote(model, safe='')}{asked}"
    path = _PATHS.get(file) or "/v1/" + "/".join(exchange.path.split("/")[-2:])
    return path, path


def _least(file: str, exchange: Exchange) -> dict[str, Any]:
    """A request, where none was recorded."""
    if file.startswith("gemini"):
        return {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    told: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x"}
    return told | ({"stream": True} if exchange.streaming else {})


def _written(value: Any, choice: int) -> bytes:
    """JSON in the styles that clients write it in."""
    if choice % 3 == 0:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return json.dumps(value, indent=2 if choice % 3 == 1 else None).encode()


def _form(model: str) -> bytes:
    parts = (
        f'--edge\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n',
        '--edge\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\0\0\r\n--edge--\r\n',
    )
    return "".join(parts).encode()


class Seen(msgspec.Struct):
    """What arrived at the provider."""

    target: str
    body: bytes
    fields: dict[str, str]


def judge(file: str, exchange: Exchange, told: Says, request: Asked, seen: Seen, answer: Answer) -> list[str]:
    """What is wrong with what arrived; nothing if all is as it must be."""
    wrong = _request(request, seen) + _answer(file, exchange, request, told, answer)
    state = state_of(file, exchange, told)
    if answer.whole == (state == "upstream_cut" and bool(told.values)):
        wrong.append(f"whole: {answer.whole} for {state}")
    return wrong


def judge_record(file: str, exchange: Exchange, told: Says, record: Closed | None) -> list[str]:
    """What is wrong with what is on record."""
    if record is None:
        return ["the call is not on record"]
    state = state_of(file, exchange, told)
    if record.state != state:
        return [f"state: {record.state} for {state}"]
    counted = exchange.status < 400 and file in _COUNTED and state != "upstream_error"
    return _usage(told, record) if counted else []


def state_of(file: str, exchange: Exchange, told: Says) -> str:
    if exchange.status >= 400 or (told.unread and file in _JSON_ONLY):
        return "upstream_error"
    if told.error and exchange.method == "POST":
        return "error_in_band"
    return "completed" if told.ended or told.unread or file not in CONVERSATIONS else "upstream_cut"


def _request(request: Asked, seen: Seen) -> list[str]:
    wrong = []
    if seen.target != request.arrives_at:
        wrong.append(f"path: {seen.target} for {request.arrives_at}")
    if seen.body != request.arrives:
        at = next(
            (n for n, (one, two) in enumerate(zip(seen.body, request.arrives, strict=False)) if one != two), 0
        )
        wrong.append(f"request: {seen.body[at : at + 60]!r} for {request.arrives[at : at + 60]!r}")
    if "authorization" in seen.fields:
        wrong.append("request: the client's credential")
    return wrong


def _answer(file: str, exchange: Exchange, request: Asked, told: Says, answer: Answer) -> list[str]:
    state, wrong = state_of(file, exchange, told), []
    passed = shown(exchange, request, told)
    if told.first or not (told.values or told.ended or told.unread or exchange.status >= 400):
        return _before_the_head(told, answer)
    if state == "upstream_cut":
        return [] if answer.body.startswith(passed.rstrip(b"\n")) else ["body: not what came before the cut"]
    if told.unread and state == "upstream_error":
        status = exchange.status if exchange.status >= 400 else 502
        if answer.status == status and _is_error(answer.body):
            return []
        return [f"not JSON: {answer.status} {answer.body[:80]!r}"]
    status = exchange.status
    if told.error and status < 400 and not exchange.streaming and told.alone:
        status = _status_in(told.error)
    if answer.status != status:
        wrong.append(f"status: {answer.status} for {status}")
    if answer.body != passed:
        at = next((n for n, (one, two) in enumerate(zip(answer.body, passed, strict=False)) if one != two), 0)
        wrong.append(f"body: {answer.body[at : at + 60]!r} for {passed[at : at + 60]!r}")
    for name, value in exchange.response_headers.items():
        if name.lower() not in _KEPT_BACK and answer.fields.get(name.lower()) != value:
            wrong.append(f"field {name}: {answer.fields.get(name.lower())}")
    return wrong


def _before_the_head(told: Says, answer: Answer) -> list[str]:
    """A stream that begins with an error, or ends without having begun, is an answer with a status."""
    error = told.error if isinstance(told.error, dict) else {}
    status = _status_in(told.error)
    if answer.status != status or not _is_error(answer.body):
        return [f"before the head: {answer.status} {answer.body[:80]!r}"]
    said = str(error.get("message", "")).encode()
    return [] if said in answer.body else ["the provider's message is lost"]


def _status_in(error: Any) -> int:
    """What the error names as its status, else 502."""
    named = [error.get("code"), error.get("status")] if isinstance(error, dict) else []
    found = [int(each) for each in map(str, named) if each.isdecimal()]
    return found[0] if found else 502


def _is_error(body: bytes) -> bool:
    try:
        value = json.loads(body)
    except ValueError:
        return False
    return isinstance(value, dict) and bool(value.get("error"))


def shown(exchange: Exchange, request: Asked, told: Says) -> bytes:
    """The answer's bytes, but for the usage event that the client did not ask for."""
    if not (request.hides and exchange.streaming and told.usage):
        return exchange.raw
    blocks = re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", exchange.raw)
    return b"".join(block for block in blocks if not _usage_alone(block))


def _usage_alone(block: bytes) -> bool:
    data = block.strip().removeprefix(b"data:").strip()
    try:
        value = json.loads(data)
    except ValueError:
        return False
    if not isinstance(value, dict):
        return False
    groq = value.get("x_groq") or {}
    return value.get("choices") == [] and bool(value.get("usage") or groq.get("usage"))


def _usage(told: Says, record: Closed) -> list[str]:
    usage = record.usage
    if told.usage is None:
        return [f"usage: {usage} for none"] if record.usage_source == "provider" else []
    if usage is None or record.usage_source != "provider":
        return [f"usage: {record.usage_source} for {told.usage}"]
    found = (usage.input, usage.output, usage.cached, usage.reasoning)
    return [] if found == told.usage else [f"usage: {found} for {told.usage}"]
