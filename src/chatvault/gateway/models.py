"""The models a token may use, as each dialect lists them, with what is known of them.

Where a dialect has a field for a fact it is used; where it has none (OpenAI's), the names are those that
OpenRouter asks of providers that it lists, and that Groq, Baseten and others use. A fact that is not known is
left out; where a dialect's library insists on a field, it gets the emptiest value there is.
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from chatvault.core.errors import NotFound
from chatvault.core.money import dollars
from chatvault.pricing.facts import Facts
from chatvault.routing.targets import Target
from chatvault.wire.json_fields import Body

if TYPE_CHECKING:
    from chatvault.gateway.call import Call
    from chatvault.gateway.routes import Endpoint

_GOOGLES: Final = frozenset((b"x-goog-api-key", b"x-goog-api-client"))
"""Fields that Google's libraries send, which ask under `/v1/models` too (seen of google-genai 3.4)."""
_EPOCH: Final = "1970-01-01T00:00:00Z"
_METHODS: Final = {
    "chat": ["generateContent", "streamGenerateContent", "countTokens"],
    "embedding": ["embedContent", "batchEmbedContents"],
}
_PRICES: Final = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cached",
    "input_cache_write": "cache_write",
    "internal_reasoning": "reasoning",
    "request": "request",
}
"""OpenRouter's names of prices, dollars a unit."""


class Listed(msgspec.Struct, frozen=True):
    """A public name, where it leads, and what is known of that model."""

    name: str
    target: Target
    facts: Facts


def list_models(call: "Call", endpoint: "Endpoint") -> bytes:
    """The list, or one model of it, in the shape of the dialect that asked. Raises NotFound."""
    fields, path = call.head.fields, unquote(call.head.path.decode())
    wanted = path.partition("/models")[2].lstrip("/")
    if endpoint.name == "api.tags":
        return msgspec.json.encode({"models": [_tag(model) for model in _usable(call)]})
    if endpoint.name == "gemini.models" or not _GOOGLES.isdisjoint(fields):
        return msgspec.json.encode(_gemini_list(call, wanted))
    if b"anthropic-version" in fields:
        return msgspec.json.encode(_anthropic_list(call, wanted))
    if wanted:
        return msgspec.json.encode(_openai(call, _one(call, wanted)))
    models = [_openai(call, model) for model in _usable(call)]
    return msgspec.json.encode({"object": "list", "data": models})


def show_model(call: "Call", body: Body) -> bytes:
    """The answer to Ollama's `/api/show`. Raises ClientError for a body that cannot be read, NotFound."""
    name = call.speech.read_request(body).model or ""
    return msgspec.json.encode(_shown(_one(call, name)))


# --- which models


def _usable(call: "Call") -> list[Listed]:
    assert call.grant is not None
    directory = call.worker.directory
    found = []
    for name, _ in directory.names(call.grant.allows_model):
        target = directory.find(name)
        if target is not None:
            found.append(Listed(name, target, _facts(call, target)))
    return found


def _one(call: "Call", wanted: str) -> Listed:
    grant, directory = call.grant, call.worker.directory
    assert grant is not None
    target = directory.find(wanted) if grant.allows_model(wanted) else None
    if target is None:
        nearest = directory.nearest(wanted, grant.allows_model)
        hint = f" Did you mean {', '.join(map(repr, nearest))}?" if nearest else ""
        raise NotFound(
            f"The model {wanted[:256]!r} is not among those this token may use.{hint}",
            code="model_not_found",
            param="model",
        )
    return Listed(wanted, target, _facts(call, target))


def _facts(call: "Call", target: Target) -> Facts:
    provider = call.worker.snapshot.providers[target.provider]
    return call.worker.book.facts(provider.price_id, target.model or "", provider.name)


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# --- OpenAI's shape


def _openai(call: "Call", model: Listed) -> dict[str, Any]:
    """https://platform.openai.com/docs/api-reference/models/object and, for what OpenAI does not say,
    https://openrouter.ai/docs/guides/community/for-providers (2026-11)."""
    facts = model.facts
    return {
        "id": model.name,
        "object": "model",
        "created": _seconds(facts.released),
        "owned_by": model.target.provider,
        **_known(
            {
                "name": facts.name,
                "context_length": facts.context,
                "max_output_length": facts.output,
                "input_modalities": facts.inputs,
                "output_modalities": facts.outputs,
                "supported_features": _features(facts),
                "pricing": _pricing(call, model.target),
                "knowledge_cutoff": facts.knowledge,
                "expiration_date": facts.retires,
            }
        ),
    }


def _features(facts: Facts) -> list[str] | None:
    """None where nothing is known of any."""
    said = {"tools": facts.tools, "reasoning": facts.reasoning, "structured_outputs": facts.structured_output}
    if all(value is None for value in said.values()):
        return None
    return [name for name, value in said.items() if value]


def _pricing(call: "Call", target: Target) -> dict[str, str] | None:
    """Dollars a token, as exact decimals; None where the price is not known."""
    provider = call.worker.snapshot.providers[target.provider]
    if provider.free:
        return {"prompt": "0", "completion": "0"}
    price = call.worker.book.price(provider.price_id, target.model or "", provider.name, call.at)
    if price is None:
        return None
    return {name: dollars(price.rates[field]) for name, field in _PRICES.items() if field in price.rates}


def _seconds(day: str | None) -> int:
    return int(_moment(day).timestamp()) if day is not None else 0


def _moment(day: str) -> datetime:
    year, month, date_ = (*map(int, day.split("-")), 1, 1)[:3]
    found = date(year, month, date_)
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


# --- Anthropic's


def _anthropic_list(call: "Call", wanted: str) -> dict[str, Any]:
    if wanted:
        return _anthropic(_one(call, wanted))
    data = [_anthropic(model) for model in _usable(call)]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _anthropic(model: Listed) -> dict[str, Any]:
    """https://docs.anthropic.com/en/api/models-list, and as it answers (2026-11)."""
    facts = model.facts
    inputs = facts.inputs
    can = {
        "image_input": None if inputs is None else "image" in inputs,
        "pdf_input": None if inputs is None else "pdf" in inputs,
        "structured_outputs": facts.structured_output,
        "thinking": facts.reasoning,
    }
    capabilities = {name: {"supported": value} for name, value in can.items() if value is not None}
    return {
        "type": "model",
        "id": model.name,
        "display_name": facts.name or model.name,
        "created_at": f"{_moment(facts.released):%Y-%m-%dT00:00:00Z}" if facts.released else _EPOCH,
        **_known(
            {
                "max_input_tokens": facts.input or facts.context,
                "max_tokens": facts.output,
                "capabilities": capabilities or None,
            }
        ),
    }


# --- Gemini's


def _gemini_list(call: "Call", wanted: str) -> dict[str, Any]:
    if wanted:
        return _gemini(_one(call, wanted.removeprefix("models/")))
    return {"models": [_gemini(model) for model in _usable(call)]}


def _gemini(model: Listed) -> dict[str, Any]:
    """https://ai.google.dev/api/models (2026-11)"""
    facts = model.facts
    return {
        "name": f"models/{model.name}",
        "displayName": facts.name or model.name,
        **_known(
            {
                "inputTokenLimit": facts.input or facts.context,
                "outputTokenLimit": facts.output,
                "thinking": facts.reasoning,
            }
        ),
        "supportedGenerationMethods": _METHODS.get(facts.kind or "chat", []),
    }


# --- Ollama's


def _tag(model: Listed) -> dict[str, Any]:
    """https://docs.ollama.com/api/tags (2026-11)"""
    released = model.facts.released
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": f"{_moment(released):%Y-%m-%dT00:00:00Z}" if released else _EPOCH,
        "size": 0,
        "digest": "",
        "details": {},
    }


def _shown(model: Listed) -> dict[str, Any]:
    """https://docs.ollama.com/api-reference/show-model-details (2026-11). A length is named after the
    architecture there; a gateway knows none, and says `general`."""
    facts = model.facts
    info: dict[str, Any] = {"general.architecture": "general", "general.basename": facts.name or model.name}
    if facts.context is not None:
        info["general.context_length"] = facts.context
    embeds = facts.kind == "embedding"
    can = {
        "completion": not embeds,
        "embedding": embeds,
        "tools": facts.tools,
        "vision": "image" in (facts.inputs or ()),
        "thinking": facts.reasoning,
    }
    return {
        "modified_at": _tag(model)["modified_at"],
        "details": {"parent_model": "", "format": "", "family": model.target.provider, "families": None},
        "model_info": info,
        "capabilities": [name for name, value in can.items() if value],
    }
