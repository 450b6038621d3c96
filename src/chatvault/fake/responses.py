"""`POST /v1/responses`."""

from typing import Any

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.conversation import NO_TOOLS, Toolbox, ask_about
from chatvault.fake.reply import Reply, compose, count
from chatvault.fake.request import CREATED, Request
from chatvault.fake.responses_events import respond_in_events
from chatvault.fake.usage import responses_usage

CALLED = ("function", "custom")
"""Toolbox that the client runs."""


class InputPart(msgspec.Struct):
    type: str = "input_text"
    text: str | None = None


class InputItem(msgspec.Struct):
    type: str = "message"
    role: str | None = None
    content: str | list[InputPart] | None = None
    output: str | list[InputPart] | None = None
    """Of a tool."""

    @property
    def turn(self) -> Turn:
        answers = self.type.endswith("_call_output")
        said = self.output if answers else self.content
        text = "".join(part.text or "" for part in said) if isinstance(said, list) else said or ""
        return Turn("tool" if answers else self.role or "", text)


class TextFormat(msgspec.Struct):
    type: str = "text"
    schema: Any = None


class TextConfig(msgspec.Struct):
    format: TextFormat | None = None


class ResponseTool(msgspec.Struct):
    type: str
    name: str | None = None
    parameters: Any = None


class ResponsesRequest(msgspec.Struct):
    model: str
    input: str | list[InputItem] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: str | ResponseTool | None = None
    text: TextConfig | None = None


def responses(request: Request) -> Answer:
    """A response, whole or as its sequence of events. Raises Refusal."""
    wish = request.decode(ResponsesRequest)
    ask, plan, digest = _ask(wish), request.plan, request.digest()
    reply = compose(ask, plan)
    counts = count(ask, plan, [reply])
    usage = None if plan.usage in ("none", "null") else responses_usage(counts)
    complete = reply.finish != "length"
    begun: dict[str, object] = {
        "id": "resp_" + digest,
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": wish.model,
        "output": [],
        "usage": None,
        **_repeated(request.decode(dict[str, Any])),
    }
    ended = {
        **begun,
        "status": "completed" if complete else "incomplete",
        "incomplete_details": None if complete else {"reason": "max_output_tokens"},
        "output": _items(reply, digest),
        "usage": usage,
    }
    if wish.stream:
        return respond_in_events(begun, ended, reply, plan)
    return json_answer(ended)


def _repeated(given: dict[str, Any]) -> dict[str, object]:
    """The fields of a request that the response object repeats as they came, else with their defaults."""
    defaults: dict[str, object] = {
        "background": False,
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
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    return {name: default if given.get(name) is None else given[name] for name, default in defaults.items()}


def _ask(wish: ResponsesRequest) -> Ask:
    items = wish.input if isinstance(wish.input, list) else [InputItem(role="user", content=wish.input)]
    instructions = [Turn("system", wish.instructions)] if wish.instructions else []
    wanted = wish.text.format if wish.text else None
    schema: object = None
    if wanted is not None and wanted.type == "json_schema":
        schema = wanted.schema if wanted.schema is not None else {"type": "object"}
    elif wanted is not None and wanted.type == "json_object":
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return ask_about(
        [*instructions, *(item.turn for item in items)],
        limit=wish.max_output_tokens,
        tools=_tools(wish),
        schema=schema,
    )


def _tools(wish: ResponsesRequest) -> Toolbox:
    """Toolbox the provider runs itself are never called."""
    choice = wish.tool_choice
    if choice == "none":
        return NO_TOOLS
    there = [
        Tool(tool.name, tool.parameters, custom=tool.type == "custom")
        for tool in wish.tools or ()
        if tool.type in CALLED and tool.name
    ]
    return Toolbox(there, choice.name if isinstance(choice, ResponseTool) and choice.type in CALLED else None)


def _items(reply: Reply, digest: str) -> list[dict[str, object]]:
    """The output items as they are when complete."""
    status = "completed" if reply.finish != "length" else "incomplete"
    items: list[dict[str, object]] = []
    if reply.reasoning:
        items.append({"id": "rs_" + digest, "type": "reasoning", "summary": []})
    if reply.tool is None:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        items.append(
            {
                "id": "msg_" + digest,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [part],
            }
        )
    else:
        kind, field, prefix = ("custom_tool_call", "input", "ctc_") if reply.tool.custom else _FUNCTION
        items.append(
            {
                "id": prefix + digest,
                "type": kind,
                "status": status,
                field: reply.text,
                "call_id": "call_" + digest[:24],
                "name": reply.tool.name,
            }
        )
    return items


_FUNCTION = ("function_call", "arguments", "fc_")
