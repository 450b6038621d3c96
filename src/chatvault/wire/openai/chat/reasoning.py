"""How much to think, in the many ways that chat requests say it."""

from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Reasoning
from chatvault.wire.json_value import Values, number_of, raw
from chatvault.wire.taken import take_text

_NONE: Final = Reasoning(effort="none")
_ADAPTIVE: Final = Reasoning(adaptive=True)


def read_reasoning(rest: Values, said: dict[str, msgspec.Raw]) -> Reasoning | None:
    """Takes what it understands out of `rest`; other providers' words are kept in `said`."""
    effort = take_text(rest, "reasoning_effort")
    found = Reasoning(effort=effort) if effort is not None else None
    for name, read in _WAYS.items():
        value = rest.get(name)
        told = read(value) if value is not None else None
        if told is not None:
            said[name] = raw(rest.pop(name))
            found = found or told
    if found is not None and effort is not None and said:
        said.setdefault("reasoning_effort", raw(effort))
    return found


def _openrouter(value: object) -> Reasoning | None:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens, seen 2026-11"""
    if not isinstance(value, dict) or not set(value) <= {
        "effort",
        "max_tokens",
        "enabled",
        "exclude",
        "summary",
    }:
        return None
    effort, summary, exclude = value.get("effort"), value.get("summary"), value.get("exclude")
    if value.get("enabled") is False:
        return _NONE
    budget = number_of(value.get("max_tokens"))
    return Reasoning(
        effort=effort if isinstance(effort, str) else None,
        budget=budget,
        summary=summary if isinstance(summary, str) else None,
        show=not exclude if isinstance(exclude, bool) else None,
        adaptive=effort is None and budget is None,
    )


def _thinking(value: object) -> Reasoning | None:
    """DeepSeek's, Z.ai's and Moonshot's switch, and Anthropic's, which routers take too
    (https://api-docs.deepseek.com/guides/thinking_mode, seen 2026-11)."""
    if not isinstance(value, dict) or not set(value) <= {"type", "budget_tokens"}:
        return None
    if value.get("type") == "disabled":
        return _NONE
    budget = number_of(value.get("budget_tokens"))
    return Reasoning(budget=budget) if budget is not None else _ADAPTIVE


def _switch(value: object) -> Reasoning | None:
    """Alibaba's (https://help.aliyun.com/zh/model-studio/deep-thinking, seen 2026-11)."""
    return (_ADAPTIVE if value else _NONE) if isinstance(value, bool) else None


def _template(value: object) -> Reasoning | None:
    """A template's own switch, as vLLM, SGLang and llama.cpp pass it on
    (https://docs.vllm.ai/en/latest/features/reasoning_outputs.html, seen 2026-11)."""
    return (
        _switch(value["enable_thinking"])
        if isinstance(value, dict) and set(value) == {"enable_thinking"}
        else None
    )


_WAYS: Final = {
    "reasoning": _openrouter,
    "thinking": _thinking,
    "enable_thinking": _switch,
    "chat_template_kwargs": _template,
    "chat_template_args": _template,
}
