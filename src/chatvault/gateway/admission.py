"""May this call go on, where to, with which body, and what may it cost? Plain decisions over values; nothing
waits here."""

from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.access.grant import Grant
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.core.errors import ClientError, NotFound, PermissionDenied
from chatvault.counting.estimate import input_tokens
from chatvault.counting.families import family_of
from chatvault.counting.measure import measured
from chatvault.gateway.count_translation import CountTranslation, other_counter, translate_count, unwrapped
from chatvault.gateway.embedding_translation import EmbeddingTranslation, translate_embedding
from chatvault.gateway.plan import Plan
from chatvault.gateway.references import points_elsewhere, runs_tools
from chatvault.gateway.reshaping import reshape, reshaped, version_said
from chatvault.gateway.routes import ACCOUNT_OTHER, Endpoint, model_in_path
from chatvault.gateway.speech import Speech, Spoken
from chatvault.gateway.translation import Translation, answering_dialect, translate
from chatvault.pricing.price import Price, upper_bound
from chatvault.providers.bedrock import STYLE as BEDROCK
from chatvault.routing.targets import MAX_NAME, Target
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


class Estimated(msgspec.Struct, frozen=True, gc=False):
    """Nothing goes upstream: the provider has no such endpoint, and the answer is an estimate of input tokens."""

    tokens: int


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
    endpoint, speech = call.endpoint, call.speech
    assert endpoint is not None
    if not body and endpoint.body == "any":
        provider, _ = _target(call, endpoint, None)
        return Admitted(provider.name, None, None, b"", 0, 0, free=provider.free)
    request = speech.read_request(body)
    model, stream = request.model, request.stream
    if endpoint.in_path:
        model, stream = model_in_path(call.head.path)[0], endpoint.stream
    plan, asked = _plan(call, endpoint, model), Asked(request, model or "", stream)
    if not plan.spoken:
        return _unspoken(call, endpoint, asked, body, plan)
    if plan.answering is not speech:
        return _translated(call, endpoint, asked, body, plan)
    return _passed(call, endpoint, asked, body, plan)


def _plan(call: "Call", endpoint: Endpoint, model: str | None) -> Plan:
    """Where the call goes. Raises ClientError where it may not, or cannot."""
    standing = call.standing
    assert standing is not None
    plan = standing.plan(endpoint, model, call.worker.snapshot)
    if plan is None:
        plan = _make_plan(call, endpoint, model)
        if model is None or len(model) <= MAX_NAME:
            standing.keep(endpoint, model, plan)
    return plan


def _make_plan(call: "Call", endpoint: Endpoint, model: str | None) -> Plan:
    provider, target = _target(call, endpoint, model)
    translatable = endpoint.conversation or endpoint.embedding
    answering = answering_dialect(call.speech, provider, target.model) if translatable else call.speech
    if answering is None:
        raise ClientError(
            f"The provider '{provider.name}' does not speak {endpoint.dialect}, and it cannot be translated for it. "
            "Ask for another model, or in another dialect.",
            code="dialect_not_spoken",
            param="model",
        )
    renamed = target.renamed and not endpoint.in_path
    uncounted = _uncounted(endpoint, provider)
    spoken = _spoken(call.speech, provider, answering, target.model) and not uncounted
    if not spoken and not uncounted and endpoint.name in COUNTS:
        answering = other_counter(call.speech, provider, target.model) or answering
    face = provider.faces.get(answering.family)
    return Plan(
        provider,
        target,
        answering,
        spoken,
        msgspec.json.encode(target.model) if renamed else None,
        endpoint.usage_option and provider.stream_usage,
        provider.free or endpoint.name in COUNTS,
        bool(endpoint.path or (face is not None and (face.sets or face.drops))),
        provider.path_style == BEDROCK and answering.family == "anthropic",
    )


def _unspoken(call: "Call", endpoint: Endpoint, asked: Asked, body: Body, plan: Plan) -> Admitted | Estimated:
    """A count for a client whose dialect the provider does not speak: asked in the other dialect that has such an
    endpoint, or estimated here. Raises ClientError for everything else."""
    if endpoint.name not in COUNTS:
        raise ClientError(
            f"The provider '{plan.provider.name}' does not speak {endpoint.dialect}. Ask for another model.",
            code="dialect_not_spoken",
            param="model",
        )
    if plan.answering is not call.speech:
        return _translated(call, endpoint, asked, body, plan)
    return Estimated(input_tokens(measured(unwrapped(body)), family_of(plan.target.model)))


def _passed(call: "Call", endpoint: Endpoint, asked: Asked, body: Body, plan: Plan) -> Admitted:
    """The admission of a call whose provider speaks the client's dialect."""
    request, provider, stream, size = asked.request, plan.provider, asked.stream, len(body)
    changes: dict[str, bytes] = {}
    without: tuple[str, ...] = ()
    if plan.name is not None:
        changes["model"] = plan.name
    hide = stream and plan.tells_usage and isinstance(request, JsonRequest) and not request.asks_usage()
    if hide and isinstance(request, JsonRequest):
        changes["stream_options"] = request.with_usage()
    if plan.reshaped:
        face, target = provider.faces.get(call.speech.family), plan.target.model
        without = reshape(face, endpoint, request.fields, changes, target=target, head=call.head)
    kept = isinstance(body, bytes) and not changes and not without
    price = _price(call, plan)
    return Admitted(
        provider.name,
        plan.target.model,
        asked.model or None,
        body if kept and isinstance(body, bytes) else request.fields.patched(changes, without),
        size,
        size,
        stream,
        hide,
        price,
        0 if plan.free else _reserved(endpoint, price, request, body),
        request.metadata() or _NO_METADATA,
        call.speech.family,
        None,
        plan.free,
        plan.framed,
        version_said(endpoint, request.fields) if plan.reshaped else None,
    )


def _translated(
    call: "Call",
    endpoint: Endpoint,
    asked: Asked,
    body: Body,
    plan: Plan,
) -> Admitted:
    """The admission of a call whose provider speaks another dialect."""
    provider, target, answering = plan.provider, plan.target, plan.answering
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
    price = _price(call, plan)
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
        0 if plan.free else _reserved(endpoint, price, asked.request, body),
        asked.request.metadata() or _NO_METADATA,
        answering.family,
        translation,
        plan.free,
        plan.framed,
    )


def admit_upload(
    call: "Call", model: str | None, span: tuple[int, int] | None, held: bytes
) -> tuple[Admitted, bytes]:
    """The admission, and the first bytes of the upload with the model's name as the provider knows it."""
    endpoint, size = call.endpoint, call.length
    assert endpoint is not None
    plan = _plan(call, endpoint, model)
    provider, target = plan.provider, plan.target
    length = size
    if target.renamed and span is not None and target.model is not None:
        name = target.model.encode()
        held = held[: span[0]] + name + held[span[1] :]
        length = size + len(name) - (span[1] - span[0]) if size is not None else None
    price = _price(call, plan)
    admitted = Admitted(
        provider.name, target.model, model, None, length, size or 0, price=price, free=provider.free
    )
    return admitted, held


def _target(call: "Call", endpoint: Endpoint, model: str | None) -> tuple[ProviderSnapshot, Target]:
    worker, grant = call.worker, call.grant
    directory = worker.directory
    assert grant is not None
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


def _price(call: "Call", plan: Plan) -> Price | None:
    """The price that holds now. It is put on record before a call refers to it."""
    at = call.at
    if not plan.since <= at < plan.until:
        model, provider = plan.target.model, plan.provider
        if model is None:
            return None
        since, until, price = call.worker.book.span(provider.price_id, model, provider.name, at)
        if price is not None and not call.worker.put_price_on_record(price):
            return price
        plan.since, plan.until, plan.price = since, until, price
    return plan.price


def _reserved(endpoint: Endpoint, price: Price | None, request: AskedFields, body: Body) -> int | None:
    """The most the call may cost, in pico-dollars; None where there is no bound that is known."""
    if price is None or not (endpoint.conversation or endpoint.embedding or endpoint.name in _TOKEN_PRICED):
        return None
    if runs_tools(request):
        return None
    outside = points_elsewhere(endpoint.dialect, request, body)
    most = 0 if endpoint.embedding else request.max_output()
    choices = request.choices() if most is None else 1
    return upper_bound(price, None if outside else len(body), most, choices=choices)
