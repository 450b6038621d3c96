"""May this call go on, where to, with which body, and what may it cost? Plain decisions over values; nothing
waits here."""

from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.access.grant import Grant
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.errors import AuthenticationError, ClientError, NotFound, PermissionDenied
from chatvault.counting.estimate import input_tokens
from chatvault.counting.families import family_of
from chatvault.counting.measure import measured
from chatvault.gateway.count_translation import CountTranslation, other_counter, translate_count, unwrapped
from chatvault.gateway.embedding_translation import EmbeddingTranslation, translate_embedding
from chatvault.gateway.references import points_elsewhere, runs_tools
from chatvault.gateway.reshaping import reshape, reshaped, version_said
from chatvault.gateway.routes import ACCOUNT_OTHER, BodyKind, Endpoint, model_in_path
from chatvault.gateway.speech import Speech, Spoken
from chatvault.gateway.translation import Translation, answering_dialect, translate
from chatvault.pricing.price import Price, upper_bound
from chatvault.providers.bedrock import STYLE as BEDROCK
from chatvault.routing.targets import Target
from chatvault.wire.http_head import RequestHead
from chatvault.wire.json_fields import Body
from chatvault.wire.openai.request import JsonRequest
from chatvault.wire.tap import AskedFields

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

COUNTS: Final = frozenset(("messages.count_tokens", "countTokens"))
"""Endpoints that count the tokens of a request, which providers do for nothing:
https://docs.anthropic.com/en/docs/build-with-claude/token-counting, https://ai.google.dev/gemini-api/docs/tokens
(2026-11)."""
_NEEDS_MODEL: Final = frozenset(("completions", *COUNTS))
"""Endpoints beside conversations that work with a model only."""
_TOKEN_PRICED: Final = frozenset((*_NEEDS_MODEL, "other"))
_NO_METADATA: Final[dict[str, object]] = {}


class Admitted(msgspec.Struct, gc=False):
    """A call that may go on. `body` is None for an upload; `length` is then its size, None where it is
    chunked."""

    provider: str
    target: str | None
    model: str | None
    body: bytes | list[bytes | memoryview] | None
    length: int | None
    input_bytes: int
    stream: bool = False
    hide_usage: bool = False
    price: Price | None = None
    reserved: int | None = None
    metadata: dict[str, object] = _NO_METADATA
    family: str = "openai"
    """Whose API the provider is asked by."""
    translation: Translation | EmbeddingTranslation | CountTranslation | None = None
    """Set where the provider is asked in another dialect than the client's."""
    free: bool = False
    """The provider bills nothing; as it was configured when the call began."""
    framed: bool = False
    """It answers as Anthropic does, in Bedrock's frames."""
    version: bytes | None = None
    """Of Anthropic's API, where the client says it elsewhere than the provider wants it."""


def check_endpoint(grant: Grant, endpoint: Endpoint, now_us: int) -> None:
    """Raises AuthenticationError for an expired token, PermissionDenied for an endpoint it was not granted."""
    if grant.expired(now_us):
        raise AuthenticationError("This token has expired. Ask for a new one.", code="token_expired")
    if not grant.allows_endpoint(endpoint.name):
        what = (
            "reaches objects of the provider's whole account and is closed unless a token's endpoints name it"
            if endpoint.name.startswith("account")
            else "is not among this token's endpoints"
        )
        raise PermissionDenied(f"The endpoint '{endpoint.name}' {what}.", code="endpoint_not_allowed")


class Estimated(msgspec.Struct, frozen=True, gc=False):
    """Nothing goes upstream: the provider has no such endpoint, and the answer is an estimate of input tokens."""

    tokens: int


def body_kind(head: RequestHead, endpoint: Endpoint) -> BodyKind:
    """How the request's body is taken in: `json` is held and read, `upload` streamed. Raises ClientError (415, 417)."""
    kind, content_type = endpoint.body, head.fields.get(b"content-type", b"").lower()
    if head.fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise ClientError(
            "This expectation is not supported. Send Expect: 100-continue or none.",
            code="expectation_failed",
            status=417,
        )
    if kind == "any":
        return "json" if content_type.startswith(b"application/json") or head.length == 0 else "upload"
    if kind == "json" and content_type.startswith(b"multipart/"):
        raise ClientError(
            "This endpoint takes JSON. Send content-type: application/json.",
            code="unsupported_media_type",
            status=415,
        )
    return kind


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request as it was read, with what its path says."""

    request: AskedFields
    model: str
    stream: bool


def _spoken(speech: Speech, provider: ProviderSnapshot, answering: Spoken, model: str | None) -> bool:
    """Whether the provider has an API of the family that the call is to be sent in, for the model."""
    if provider.claims:
        return answering.family in provider.families(model)
    return answering.family == "openai" or answering is not speech or answering.family in provider.faces


def _uncounted(endpoint: Endpoint, provider: ProviderSnapshot) -> bool:
    """Whether the provider has Anthropic's messages, but none that counts their tokens."""
    return endpoint.name in COUNTS and provider.path_style == BEDROCK


def admit_json(call: "Call", body: Body) -> Admitted | Estimated:
    """Raises ClientError: 400 for a body that cannot be read, 403 or 404 for its model."""
    endpoint, grant = call.endpoint, call.grant
    assert endpoint is not None
    assert grant is not None
    if not body and endpoint.body == "any":
        provider, target = _target(call, endpoint, grant, None)
        return Admitted(provider.name, None, None, b"", 0, 0, free=provider.free)
    request = call.speech.read_request(body)
    model = model_in_path(call.head.path)[0] if endpoint.in_path else request.model
    stream = endpoint.stream if endpoint.in_path else request.stream
    provider, target = _target(call, endpoint, grant, model)
    translatable = endpoint.conversation or endpoint.embedding
    answering = answering_dialect(call.speech, provider, target.model) if translatable else call.speech
    if answering is None:
        raise ClientError(
            f"The provider '{provider.name}' does not speak {endpoint.dialect}, and it cannot be translated for it. "
            "Ask for another model, or in another dialect.",
            code="dialect_not_spoken",
            param="model",
        )
    if not _spoken(call.speech, provider, answering, target.model) or _uncounted(endpoint, provider):
        if endpoint.name in COUNTS:
            return _counted(call, endpoint, Asked(request, model or "", stream), body, provider, target)
        raise ClientError(
            f"The provider '{provider.name}' does not speak {endpoint.dialect}. Ask for another model.",
            code="dialect_not_spoken",
            param="model",
        )
    asked = Asked(request, model or "", stream)
    if answering is not call.speech:
        return _translated(call, endpoint, asked, body, provider, target, answering)
    return _passed(call, endpoint, asked, body, provider, target)


def _counted(
    call: "Call", endpoint: Endpoint, asked: Asked, body: Body, provider: ProviderSnapshot, target: Target
) -> Admitted | Estimated:
    """A count for a client whose dialect the provider does not speak: asked in the other dialect that has such an
    endpoint, or estimated here."""
    uncounted = _uncounted(endpoint, provider)
    answering = other_counter(call.speech, provider, target.model) if not uncounted else None
    if answering is not None:
        return _translated(call, endpoint, asked, body, provider, target, answering)
    return Estimated(input_tokens(measured(unwrapped(body)), family_of(target.model)))


def _passed(
    call: "Call", endpoint: Endpoint, asked: Asked, body: Body, provider: ProviderSnapshot, target: Target
) -> Admitted:
    """The admission of a call whose provider speaks the client's dialect."""
    request = asked.request
    changes: dict[str, bytes] = {}
    if target.renamed and not endpoint.in_path:
        changes["model"] = msgspec.json.encode(target.model)
    hide = (
        isinstance(request, JsonRequest)
        and request.stream
        and endpoint.usage_option
        and provider.stream_usage
        and not request.asks_usage()
    )
    if hide and isinstance(request, JsonRequest):
        changes["stream_options"] = request.with_usage()
    without = reshape(
        provider.faces.get(call.speech.family),
        endpoint,
        request.fields,
        changes,
        target=target.model,
        head=call.head,
    )
    kept = body if isinstance(body, bytes) and not changes and not without else None
    price = _price(call, provider, target)
    return Admitted(
        provider.name,
        target.model,
        asked.model or None,
        request.fields.patched(changes, without) if kept is None else kept,
        len(body),
        len(body),
        asked.stream,
        hide,
        price,
        _reserved(endpoint, provider, price, request, body),
        request.metadata() or _NO_METADATA,
        call.speech.family,
        free=provider.free or endpoint.name in COUNTS,
        version=version_said(endpoint, request.fields),
        framed=_framed(provider, call.speech),
    )


def _translated(
    call: "Call",
    endpoint: Endpoint,
    asked: Asked,
    body: Body,
    provider: ProviderSnapshot,
    target: Target,
    answering: Spoken,
) -> Admitted:
    """The admission of a call whose provider speaks another dialect."""
    assert target.model is not None
    strict = call.head.fields.get(b"x-chatvault-strict") == b"1"
    translation: Translation | EmbeddingTranslation | CountTranslation
    stream = False
    if endpoint.embedding:
        translation = translate_embedding(
            call.speech, answering, body, public=asked.model, target=target.model, strict=strict
        )
    elif endpoint.name in COUNTS:
        translation = translate_count(
            call.speech, answering, provider, body, public=asked.model, target=target.model, strict=strict
        )
    else:
        translation = translate(
            call.speech,
            answering,
            provider,
            body,
            public=asked.model,
            target=target.model,
            stream=asked.stream if endpoint.in_path else None,
            strict=strict,
        )
        stream = translation.conversation.stream
    written = reshaped(provider.faces.get(answering.family), endpoint, translation.body)
    price = _price(call, provider, target)
    return Admitted(
        provider.name,
        target.model,
        asked.model,
        written,
        len(translation.body),
        len(body),
        stream,
        False,
        price,
        _reserved(endpoint, provider, price, asked.request, body),
        asked.request.metadata() or _NO_METADATA,
        answering.family,
        translation,
        provider.free or endpoint.name in COUNTS,
        framed=_framed(provider, answering),
    )


def _framed(provider: ProviderSnapshot, answering: Spoken) -> bool:
    return provider.path_style == BEDROCK and answering.family == "anthropic"


def admit_upload(
    call: "Call", model: str | None, span: tuple[int, int] | None, held: bytes
) -> tuple[Admitted, bytes]:
    """The admission, and the first bytes of the upload with the model's name as the provider knows it."""
    endpoint, grant, size = call.endpoint, call.grant, call.head.length
    assert endpoint is not None
    assert grant is not None
    provider, target = _target(call, endpoint, grant, model)
    length = size
    if target.renamed and span is not None and target.model is not None:
        name = target.model.encode()
        held = held[: span[0]] + name + held[span[1] :]
        length = size + len(name) - (span[1] - span[0]) if size is not None else None
    price = _price(call, provider, target)
    admitted = Admitted(
        provider.name, target.model, model, None, length, size or 0, price=price, free=provider.free
    )
    return admitted, held


def _target(
    call: "Call", endpoint: Endpoint, grant: Grant, model: str | None
) -> tuple[ProviderSnapshot, Target]:
    worker = call.worker
    directory = worker.directory
    if model is None:
        return _default_target(call, endpoint, grant)
    if not grant.allows_model(model):
        nearest = directory.nearest(model, grant.allows_model)
        raise PermissionDenied(
            f"This token may not use the model {model[:256]!r}."
            + (f" It may use {', '.join(map(repr, nearest))}." if nearest else ""),
            code="model_not_allowed",
            param="model",
        )
    target = directory.find(model)
    if target is None:
        nearest = directory.nearest(model, grant.allows_model)
        hint = (
            f" Did you mean {', '.join(map(repr, nearest))}?"
            if nearest
            else " GET /v1/models lists what this token may use."
        )
        raise NotFound(
            f"The model {model[:256]!r} is not known here.{hint}", code="model_not_found", param="model"
        )
    return worker.snapshot.providers[target.provider], target


def _default_target(call: "Call", endpoint: Endpoint, grant: Grant) -> tuple[ProviderSnapshot, Target]:
    """Where a call without a model goes: the default provider, if the token may reach what cannot be checked
    by a model's name."""
    if endpoint.conversation or endpoint.embedding or endpoint.name in _NEEDS_MODEL:
        raise ClientError(
            "The field 'model' is missing. Name the model to ask.", code="model_missing", param="model"
        )
    if endpoint.name == "other" and not grant.allows_endpoint(ACCOUNT_OTHER.name):
        raise NotFound(
            f"There is no endpoint {call.head.method.decode()} {call.head.path.decode()[:200]} here that "
            "works without a "
            "'model'. Name one, or ask for a token whose endpoints name 'account.other'.",
            code="endpoint_not_found",
        )
    if grant.models is not None:
        raise PermissionDenied(
            "This token is limited to models, so each of its calls must name one in 'model'.",
            code="model_missing",
            param="model",
        )
    default = call.worker.directory.default_provider
    if default is None:
        raise ClientError(
            "The request names no model, and no default_provider is configured. Send 'model', or set "
            "default_provider.",
            code="model_missing",
            param="model",
        )
    return call.worker.snapshot.providers[default], Target(default, None, False)


def _price(call: "Call", provider: ProviderSnapshot, target: Target) -> Price | None:
    if target.model is None:
        return None
    price = call.worker.book.price(provider.price_id, target.model, provider.name, call.at)
    if price is not None:
        call.worker.put_price_on_record(price)
    return price


def _reserved(
    endpoint: Endpoint, provider: ProviderSnapshot, price: Price | None, request: AskedFields, body: Body
) -> int | None:
    """The most the call may cost, in pico-dollars; None where there is no bound that is known."""
    if provider.free or endpoint.name in COUNTS:
        return 0
    if price is None or not (endpoint.conversation or endpoint.embedding or endpoint.name in _TOKEN_PRICED):
        return None
    if runs_tools(request):
        return None
    outside = points_elsewhere(endpoint.dialect, request, body)
    most = 0 if endpoint.embedding else request.max_output()
    choices = request.choices() if most is None else 1
    return upper_bound(price, None if outside else len(body), most, choices=choices)
