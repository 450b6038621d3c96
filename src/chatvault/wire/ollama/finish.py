"""Why an answer ended: one table for both ways (`done_reason`;
https://github.com/ollama/ollama/blob/main/llm/server.go, seen 2026-11).
"""

from typing import Final

from chatvault.wire.hub.events import Finished, FinishReason

_READ: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "load": "stop",
    "unload": "stop",
    "tool_calls": "tool_calls",
}
_WRITTEN: Final[dict[FinishReason, str]] = {"length": "length", "context_full": "length"}


def finished(said: str | None, *, called: bool) -> Finished:
    """Ollama ends with `stop` where tools are called, too. A done answer that tells no reason (older
    versions) stopped.
    """
    reason = _READ.get(said, "error") if said else "stop"
    return Finished(reason="tool_calls" if called and reason == "stop" else reason, said=said)


def written(event: Finished) -> str:
    """Ollama's clients know `stop` and `length`; what is neither is told as the provider said it. Calls end
    with `stop`, whatever word another dialect has for it."""
    if event.said is not None and _READ.get(event.said) == event.reason != "tool_calls":
        return event.said
    if event.reason in ("content_filter", "refusal", "error"):
        return event.reason
    return _WRITTEN.get(event.reason, "stop")
