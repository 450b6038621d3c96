"""The answer object of this dialect, and the items it is made of, as they grow."""

import time
from typing import Final

import msgspec

from chatvault.core.ids import new_id
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import Begun, Failed, Finished
from chatvault.wire.json_value import Values
from chatvault.wire.openai.responses.proofs import ORIGIN
from chatvault.wire.openai.responses.request_writer import answer_fields
from chatvault.wire.openai.responses.tools import write_choice, write_tools
from chatvault.wire.openai.retold import error_value, responses_usage, tier_of

_INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "context_full": "max_output_tokens",
    "content_filter": "content_filter",
}
_ECHOED: Final = ("previous_response_id", "max_tool_calls", "prompt_cache_key", "safety_identifier")
_DEFAULTS: Final[Values] = {
    "object": "response",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "truncation": "disabled",
    "user": None,
}


class Answer:
    """The answer so far. `fields` are those that tell again what was asked
    (https://platform.openai.com/docs/api-reference/responses/object, seen 2026-11)."""

    __slots__ = ("fields", "items", "usage")

    def __init__(self, conversation: Conversation | None, begun: Begun, model: str) -> None:
        self.items: list[Values] = []
        self.usage: Usage | None = None
        self.fields: Values = {
            **_DEFAULTS,
            **(_asked(conversation) if conversation is not None else {}),
            "id": begun.id or "resp_" + new_id(),
            "created_at": begun.created or int(time.time()),
            "model": begun.model or model,
            "status": "in_progress",
        }
        if tier := tier_of(begun.service_tier):
            self.fields["service_tier"] = tier

    def now(self) -> Values:
        """The answer as it is: while it goes on, it shows no items."""
        usage = responses_usage(self.usage) if self.usage is not None else None
        done = self.fields["status"] != "in_progress"
        return {**self.fields, "output": self.items if done else [], "usage": usage if done else None}

    def finish(self, finished: Finished | None) -> str:
        """The event that says how it ended."""
        cause = _INCOMPLETE.get(finished.reason) if finished is not None else None
        if cause is not None:
            self.fields["status"] = "incomplete"
            self.fields["incomplete_details"] = {"reason": cause}
            return "response.incomplete"
        self.fields["status"] = "completed"
        self.fields["completed_at"] = int(time.time())
        return "response.completed"

    def fail(self, failed: Failed) -> str:
        self.fields["status"] = "failed"
        error = error_value(failed)
        self.fields["error"] = {"code": error["code"] or error["type"], "message": error["message"]}
        return "response.failed"


def _asked(conversation: Conversation) -> Values:
    """What the client asked for, as it would be written here."""
    out: Values = answer_fields(conversation)
    write_tools(conversation, out, Dropped())
    if conversation.tool_choice is not None:
        custom = frozenset(tool.name for tool in conversation.tools if isinstance(tool, Tool) and tool.custom)
        out["tool_choice"] = write_choice(conversation.tool_choice, custom)
    text = out.get("text")
    if isinstance(text, dict):
        out["text"] = {"format": {"type": "text"}, **text}
    reasoning = out.get("reasoning")
    if isinstance(reasoning, dict):
        out["reasoning"] = {"effort": None, "summary": None, **reasoning}
    if conversation.origin == ORIGIN:
        first = conversation.messages[0] if conversation.messages else None
        if first is not None and first.path == "instructions" and first.parts:
            out["instructions"] = getattr(first.parts[0], "text", None)
        for name in _ECHOED:
            if name in conversation.extra:
                out[name] = msgspec.json.decode(conversation.extra[name])
    return out
