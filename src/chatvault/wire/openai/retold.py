"""Usage and errors, between the hub and OpenAI's shapes; the same for all of OpenAI's dialects but for
names."""

from typing import Final

import msgspec

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode, encode, name_of, number_of, object_of
from chatvault.wire.openai.errors import error_text
from chatvault.wire.openai.usage import UsageShape, lenient_shape, normalise

KINDS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""The `type` of an error by its status, where the provider names none."""


_TIERS: Final = {
    **{tier: tier for tier in ("auto", "default", "flex", "scale", "priority")},
    # Anthropic's (https://docs.anthropic.com/en/api/service-tiers, seen 2026-11) and Groq's
    # (https://console.groq.com/docs/service-tiers, seen 2026-11)
    "standard": "default",
    "standard_only": "default",
    "on_demand": "default",
}


def tier_of(word: str | None) -> str | None:
    """A service tier in OpenAI's words; None for one it has no word for."""
    return _TIERS.get(word) if word is not None else None


def usage_of(value: object) -> Usage | None:
    """Normalised; None for what counts nothing."""
    if not isinstance(value, dict):
        return None
    try:
        shape: UsageShape | None = msgspec.convert(value, UsageShape)
    except msgspec.ValidationError:
        shape = lenient_shape(msgspec.Raw(encode(value)))
    return normalise(shape) if shape is not None else None


def chat_usage(usage: Usage) -> Values:
    """As chat and completions tell it. Cache writes that live an hour are among all cache writes."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": _inside(usage),
        "completion_tokens_details": _outside(usage),
    }


def responses_usage(usage: Usage) -> Values:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": _inside(usage),
        "output_tokens": usage.output,
        "output_tokens_details": _outside(usage),
        "total_tokens": usage.input + usage.output,
    }


def _inside(usage: Usage) -> Values:
    details: Values = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    if usage.input_audio:
        details["audio_tokens"] = usage.input_audio
    if usage.input_image:
        details["image_tokens"] = usage.input_image
    return details


def _outside(usage: Usage) -> Values:
    details: Values = {"reasoning_tokens": usage.reasoning}
    if usage.output_audio:
        details["audio_tokens"] = usage.output_audio
    if usage.output_image:
        details["image_tokens"] = usage.output_image
    return details


def failure_of(value: object, status: int | None = None) -> Failed:
    """An error object of a provider, in any of the shapes that OpenAI-compatible ones send."""
    fields = object_of(value)
    code = fields.get("code")
    message = (
        value if isinstance(value, str) else name_of(fields.get("message")) or name_of(fields.get("msg"))
    )
    said = number_of(fields.get("status")) or number_of(fields.get("status_code")) or number_of(code)
    if status is None and said is not None and 400 <= said <= 599:
        status = said
    return Failed(
        message=message or encode(value).decode(errors="replace"),
        kind=name_of(fields.get("type")),
        code=str(code) if isinstance(code, str | int) and not isinstance(code, bool) and code != "" else None,
        status=status,
    )


def failure_in(body: bytes, status: int) -> Failed:
    """A provider's error answer, whatever its shape."""
    try:
        value = decode(body)
    except ValueError:
        text = body[:2000].decode(errors="replace").strip()
        return Failed(message=text or f"The provider answered {status}.", status=status)
    if isinstance(value, list) and value:
        value = value[0]
    fields = object_of(value)
    inner = fields.get("error")
    if isinstance(inner, dict) or (isinstance(inner, str) and inner and "message" not in fields):
        return failure_of(inner, status)
    message = error_text(body)
    if isinstance(fields.get("message"), str) or message is None:
        return failure_of(value, status)
    return Failed(message=message, kind=name_of(fields.get("type")), status=status)


def error_value(error: ChatVaultError | Failed, status: int | None = None) -> Values:
    """The `error` member: message, type, param and code."""
    if isinstance(error, ChatVaultError):
        return {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    status = status if status is not None else error.status
    kind = error.kind or KINDS.get(status or 0) or ("api_error" if (status or 500) >= 500 else KINDS[400])
    return {"message": error.message, "type": kind, "param": None, "code": error.code}
