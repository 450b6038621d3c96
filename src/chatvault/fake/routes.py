"""Which path is answered by what, under which plan; answers that were written once are kept."""

import hmac
import re
from collections.abc import Callable, Collection

import msgspec

from chatvault.fake import anthropic, bedrock, gemini, ollama, signature, vertex
from chatvault.fake.answer import Answer, Whole
from chatvault.fake.audio import speech, transcriptions
from chatvault.fake.chat import chat
from chatvault.fake.completions import completions
from chatvault.fake.embeddings import batch_embed_contents, embed, embed_content, embed_prompt, embeddings
from chatvault.fake.errors import Refusal, error_body
from chatvault.fake.faults import UnknownFault, parse_header, parse_model
from chatvault.fake.files import Files
from chatvault.fake.images import edits, generations, variations
from chatvault.fake.models import MISSING, list_models, missing, show_model
from chatvault.fake.moderations import moderations
from chatvault.fake.plan import Plan
from chatvault.fake.request import Request
from chatvault.fake.responses import responses
from chatvault.fake.script import Context, Script, write_script

Route = Callable[[Request], Answer]
FAULT_HEADER = "x-fake-fault"
MOST_SCRIPTS = 128
"""Scripts kept, of requests up to `LARGEST_KEPT` bytes and answers up to four times that."""
LARGEST_KEPT = 65_536
CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
KEY_IN_QUERY = re.compile(r"(?:^|&)key=([^&]*)")
Teller = Callable[[Refusal], bytes]
TELLERS: tuple[tuple[str, Teller], ...] = (
    ("/v1/messages", anthropic.error_body),
    ("/v1beta/", gemini.error_body),
    ("/api/", ollama.error_body),
)
"""Whose API lies under a path; all others are OpenAI's."""
FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n')


class Named(msgspec.Struct):
    """Any JSON request, as far as its model."""

    model: str | None = None


class Routes:
    """All routes of one provider, with what it remembers: files, failed tries, and finished scripts."""

    def __init__(
        self,
        *,
        pace_ms: float = 0.0,
        api_key: str | Collection[str] | None = None,
        aws: signature.Account | None = None,
    ) -> None:
        self._pace_ms = pace_ms
        self._aws = aws
        self._api_keys = {api_key} if isinstance(api_key, str) else api_key
        self._tries: dict[str, int] = {}
        self._scripts: dict[tuple[object, ...], Script] = {}
        files = Files()
        self._exact: dict[tuple[str, str], Route] = {
            ("GET", "/v1/models"): list_models,
            ("POST", "/v1/chat/completions"): chat,
            ("POST", "/v1/completions"): completions,
            ("POST", "/v1/responses"): responses,
            ("POST", "/v1/embeddings"): embeddings,
            ("POST", "/v1/moderations"): moderations,
            ("POST", "/v1/audio/speech"): speech,
            ("POST", "/v1/audio/transcriptions"): transcriptions,
            ("POST", "/v1/audio/translations"): transcriptions,
            ("POST", "/v1/images/generations"): generations,
            ("POST", "/v1/images/edits"): edits,
            ("POST", "/v1/images/variations"): variations,
            ("POST", "/v1/files"): files.create,
            ("GET", "/v1/files"): files.list,
            ("POST", "/v1/messages"): anthropic.messages,
            ("POST", "/v1/messages/count_tokens"): anthropic.count_tokens,
            ("GET", "/v1beta/models"): gemini.list_models,
            ("POST", "/api/chat"): ollama.chat,
            ("POST", "/api/embed"): embed,
            ("POST", "/api/embeddings"): embed_prompt,
            ("GET", "/api/tags"): ollama.tags,
            ("GET", "/api/version"): ollama.version,
        }
        self._under: tuple[tuple[str, re.Pattern[str], Route], ...] = (
            ("GET", re.compile(r"/v1/models/.+"), show_model),
            ("GET", re.compile(r"/v1/files/[^/]+/content"), files.content),
            ("GET", re.compile(r"/v1/files/[^/]+"), files.show),
            ("DELETE", re.compile(r"/v1/files/[^/]+"), files.delete),
            ("POST", re.compile(gemini.UNDER + ".+:generateContent"), gemini.generate),
            ("POST", re.compile(gemini.UNDER + ".+:streamGenerateContent"), gemini.stream_generate),
            ("POST", re.compile(gemini.UNDER + ".+:countTokens"), gemini.count_tokens),
            ("POST", re.compile(gemini.UNDER + ".+:embedContent"), embed_content),
            ("POST", re.compile(gemini.UNDER + ".+:batchEmbedContents"), batch_embed_contents),
            ("GET", re.compile(r"/v1beta/models/.+"), gemini.show_model),
            ("POST", vertex.COUNT, vertex.count_tokens),
            ("POST", vertex.MESSAGES, vertex.messages),
            ("POST", bedrock.PATH, bedrock.answer),
        )

    def script(self, request: Request, *, keep_alive: bool, reused: bool) -> Script:
        """What is written in answer to `request`. Whatever is wrong with it becomes an error answer."""
        headers = request.headers
        key = None
        if len(request.body) <= LARGEST_KEPT and "/files" not in request.path:
            fault, kind = headers.get(FAULT_HEADER), headers.get("content-type")
            key = (
                request.method,
                request.path,
                request.query,
                fault,
                kind,
                request.body,
                keep_alive,
                reused,
                _given(request) if self._api_keys is not None or self._aws is not None else None,
            )
            kept = self._scripts.get(key)
            if kept is not None:
                return kept
        tell = _teller(request.path)
        plan, answer = self._answer(request, tell)
        context = Context(
            head_only=request.method == "HEAD",
            keep_alive=keep_alive,
            reused=reused,
            pace_ms=self._pace_ms,
            request_id="req_" + request.digest()[:32],
            broken=tell(Refusal(500, "The simulated model broke off.", code="simulated_error")),
        )
        script = write_script(plan, answer, context)
        if key is not None and not plan.fail_first and script.size <= 4 * LARGEST_KEPT:
            if len(self._scripts) >= MOST_SCRIPTS:
                del self._scripts[next(iter(self._scripts))]
            self._scripts[key] = script
        return script

    def _answer(self, request: Request, tell: Teller) -> tuple[Plan, Answer]:
        """The plan, and the answer before the plan's faults."""
        plan = Plan()
        try:
            self._authenticate(request)
            plan = self._plan(request)
            if plan.status:
                message = f"The simulated provider fails with {plan.status}, as it was told to."
                raise Refusal(plan.status, message)
            route = self._find(request)
            return plan, route(msgspec.structs.replace(request, plan=plan))
        except Refusal as refusal:
            return plan, Whole(body=tell(refusal), status=refusal.status)

    def _authenticate(self, request: Request) -> None:
        if self._aws is not None and bedrock.PATH.fullmatch(request.path):
            signature.check(request, self._aws)
            return
        if self._api_keys is None:
            return
        given = _given(request).encode()
        if not any(hmac.compare_digest(given, wanted.encode()) for wanted in self._api_keys):
            raise Refusal(401, "The API key is wrong or missing: send it as a bearer token.")

    def _plan(self, request: Request) -> Plan:
        model = _model(request)
        try:
            plan = parse_model(model) if model else Plan()
            plan = parse_header(plan, request.headers.get(FAULT_HEADER, ""))
        except UnknownFault as fault:
            raise Refusal(400, str(fault), param="model", code="unknown_fault") from fault
        if plan.name == MISSING:
            raise missing(MISSING)
        if plan.fail_first:
            tries = self._tries[model] = self._tries.get(model, 0) + 1
            if tries <= plan.fail_first:
                return msgspec.structs.replace(plan, status=503)
        return plan

    def _find(self, request: Request) -> Route:
        method = "GET" if request.method == "HEAD" else request.method
        route = self._exact.get((method, request.path))
        if route is not None:
            return route
        for wanted, pattern, found in self._under:
            if wanted == method and pattern.fullmatch(request.path):
                return found
        raise Refusal(404, f"Nothing answers {request.method} {request.path}.", code="unknown_url")


def _teller(path: str) -> Teller:
    """How errors are told to who asks for `path`."""
    if gemini.model_of(path):
        return gemini.error_body
    if vertex.MESSAGES.fullmatch(path):
        return anthropic.error_body
    if bedrock.PATH.fullmatch(path):
        return bedrock.error_body
    return next((tell for prefix, tell in TELLERS if path.startswith(prefix)), error_body)


def _given(request: Request) -> str:
    """The key a request brings."""
    found = KEY_IN_QUERY.search(request.query)
    if found is not None:
        return found[1]
    headers = request.headers
    return next(
        (headers[name].removeprefix("Bearer ") for name in CREDENTIALS if headers.get(name)),
        "",
    )


def _model(request: Request) -> str:
    if (
        named := gemini.model_of(request.path)
        or vertex.model_of(request.path)
        or bedrock.model_of(request.path)
    ) or not request.body:
        return named
    if request.headers.get("content-type", "").startswith("multipart/"):
        found = FORM_MODEL.search(request.body)
        return found[1].decode("utf-8", "replace") if found else ""
    try:
        return request.decode(Named).model or ""
    except Refusal:
        return ""
