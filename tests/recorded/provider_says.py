"""What a recorded answer says of itself, read from its bytes by plain means, with nothing of ours: how it ended,
and what was used."""

import json
from typing import Any, Final

import msgspec

from tests.recorded.exchanges import Exchange

_LAST: Final = ("response.completed", "response.incomplete", "response.failed", "message_stop")
"""Types of the events that end a stream which has no `[DONE]`."""


_BESIDE: Final = frozenset(("error", "type", "id", "request_id", "user_id"))
"""Members of an answer that is an error."""


class Says(msgspec.Struct):
    """`usage`: input, output, cached and reasoning tokens, as the dialect's documentation adds them up; None where
    nothing is counted. `ended`: the last event of its kind was there. `first`: an error is the first thing it says.
    """

    values: list[Any] = []
    error: Any = None
    first: bool = False
    alone: bool = False
    """There is nothing beside an error."""
    ended: bool = False
    usage: tuple[int, int, int, int] | None = None
    unread: bool = False
    """It is no JSON object where it should be one."""


def says(file: str, exchange: Exchange) -> Says:
    found = Says()
    if exchange.streaming:
        _read_stream(file, exchange.raw.decode(errors="replace"), found)
    else:
        try:
            value = json.loads(exchange.raw)
        except ValueError:
            found.unread = True
            return found
        found.values = value if isinstance(value, list) else [value]
        found.unread = not all(isinstance(each, dict) for each in found.values)
        found.error = next((error for each in found.values if (error := _error(each))), None)
        found.ended = True
        found.alone = all(each.keys() <= _BESIDE for each in found.values if isinstance(each, dict))
    found.usage = _usage(file.split(".")[0], found.values)
    return found


def _read_stream(file: str, text: str, found: Says) -> None:
    for name, data in _events(text):
        if data.strip() == "[DONE]":
            found.ended = True
            continue
        try:
            value = json.loads(data)
        except ValueError:
            if name == "error" and not found.error:
                found.error, found.first = data, not found.values
            continue
        error = value if name == "error" or value.get("type") == "error" else _error(value)
        if error and not found.error:
            found.error, found.first = error, not found.values
        found.values.append(value)
        found.ended = found.ended or _ends(file, value)


def _events(text: str) -> list[tuple[str, str]]:
    """The name and the data of each event, or each line of a stream of lines or of values in an array."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.lstrip().startswith(("{", "[")):
        try:
            values = json.loads(text)
        except ValueError:
            return [("", line) for line in text.split("\n") if line.strip()]
        return [("", json.dumps(value)) for value in (values if isinstance(values, list) else [values])]
    found = []
    for block in text.split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n")]
        data = [value.removeprefix(" ") for name, _, value in fields if name == "data"]
        names = [value.strip() for name, _, value in fields if name == "event"]
        if data:
            found.append((names[-1] if names else "", "\n".join(data)))
    return found


def _error(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    inside = value.get("response")
    inner = inside.get("error") if isinstance(inside, dict) else None
    choices = [each for each in value.get("choices") or () if isinstance(each, dict)]
    broken = next((each["error"] for each in choices if each.get("error")), None)
    return value.get("error") or inner or broken


def _ends(file: str, value: Any) -> bool:
    if value.get("type") in _LAST or (value.get("done") is True and file.startswith("ollama")):
        return True
    choices = value.get("choices") or value.get("candidates") or ()
    ended = any(
        isinstance(each, dict) and (each.get("finish_reason") or each.get("finishReason")) for each in choices
    )
    return ended or bool((value.get("promptFeedback") or {}).get("blockReason"))


def _usage(family: str, values: list[Any]) -> tuple[int, int, int, int] | None:
    told: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, dict):
            continue
        inner = value.get("response") or value.get("message") or {}
        if family == "ollama":
            told |= {name: value[name] for name in ("prompt_eval_count", "eval_count") if name in value}
        elif family == "gemini":
            told = value.get("usageMetadata") or told
        elif family in ("anthropic", "vertex"):
            if value.get("type") in ("message", "message_start", "message_delta", None):
                usage = value.get("usage") or (isinstance(inner, dict) and inner.get("usage")) or {}
                told |= {name: count for name, count in usage.items() if count is not None}
        else:
            groq = (value.get("x_groq") or {}).get("usage")
            told = value.get("usage") or (isinstance(inner, dict) and inner.get("usage")) or groq or told
    return _SUMS.get(family, _openai)(told) if told else None


def _openai(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Where the total says more than input and output, reasoning stands beside the output."""
    taken = told.get("prompt_tokens", told.get("input_tokens"))
    given = told.get("completion_tokens", told.get("output_tokens"))
    if taken is None and given is None and told.get("total_tokens") is None:
        return None
    given = given or 0
    taken = taken if taken is not None else (told.get("total_tokens") or 0) - given
    inside = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
    outside = told.get("completion_tokens_details") or told.get("output_tokens_details") or {}
    reasoning = outside.get("reasoning_tokens") or told.get("reasoning_tokens") or 0
    cached = (
        inside.get("cached_tokens")
        or inside.get("cache_read_input_tokens")
        or told.get("prompt_cache_hit_tokens")
        or told.get("num_cached_tokens")
        or told.get("cached_tokens")
        or 0
    )
    if reasoning and (told.get("total_tokens") == taken + given + reasoning or reasoning > given):
        given += reasoning
    return int(taken), int(given), min(int(cached), int(taken)), int(reasoning)


def _anthropic(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Compactions are billed beside the totals."""
    if "input_tokens" not in told and "output_tokens" not in told:
        return None
    taken = given = cached = 0
    more = [each for each in told.get("iterations") or () if each.get("type") == "compaction"]
    for each in (told, *more):
        read = each.get("cache_read_input_tokens") or 0
        taken += each.get("input_tokens", 0) + read + (each.get("cache_creation_input_tokens") or 0)
        given, cached = given + each.get("output_tokens", 0), cached + read
    thinking = (told.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return taken, given, cached, thinking


def _gemini(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    taken, given, thoughts, tools = (told.get(name, 0) for name in names)
    total = told.get("totalTokenCount")
    if total is None and not any(name in told for name in names):
        return None
    if "promptTokenCount" not in told and total:
        taken = total - given - thoughts - tools
    elif "candidatesTokenCount" not in told and total:
        given = total - taken - thoughts - tools
    return taken + tools, given + thoughts, told.get("cachedContentTokenCount", 0), thoughts


def _ollama(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    return told.get("prompt_eval_count", 0), told.get("eval_count", 0), 0, 0


_SUMS: Final = {"anthropic": _anthropic, "vertex": _anthropic, "gemini": _gemini, "ollama": _ollama}
