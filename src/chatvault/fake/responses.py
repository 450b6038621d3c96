"""`POST /v1/responses`."""

from typing import Any

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.errors import Refusal
from chatvault.fake.reply import Ask, Reply, Tool, compose, count
from chatvault.fake.request import CREATED, Request
from chatvault.fake.responses_events import respond_in_events
from chatvault.fake.text import count_prompt
from chatvault.fake.usage import responses_usage


class InputPart(msgspec.Struct):
    type: str = "input_text"
    text: str | None = None


class InputItem(msgspec.Struct):
    type: str = "message"
    role: str | None = None
    content: str | list[InputPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


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
    texts = [wish.instructions or "", *(item.text for item in items)]
    last = next((item.text for item in reversed(items) if item.role == "user"), "")
    wanted = wish.text.format if wish.text else None
    schema: object = None
    if wanted is not None and wanted.type == "json_schema":
        schema = wanted.schema if wanted.schema is not None else {"type": "object"}
    elif wanted is not None and wanted.type == "json_object":
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    return Ask(
        text="\n".join(texts),
        last=last,
        prompt=count_prompt(sum(len(text.encode()) for text in texts), len(items)),
        limit=wish.max_output_tokens,
        tool=_tool(wish, items),
        schema=schema,
    )


def _tool(wish: ResponsesRequest, items: list[InputItem]) -> Tool | None:
    """The tool to call, by the rule of chat completions; tools the provider runs itself are never called."""
    if wish.tool_choice == "none" or any(item.type.endswith("_call_output") for item in items):
        return None
    tools = [
        Tool(tool.name, tool.parameters, custom=tool.type == "custom")
        for tool in wish.tools or ()
        if tool.type in ("function", "custom") and tool.name
    ]
    if isinstance(wish.tool_choice, ResponseTool) and wish.tool_choice.type in ("function", "custom"):
        tools = [tool for tool in tools if tool.name == wish.tool_choice.name]
        if not tools:
            raise Refusal(400, "tool_choice names a tool that is not among the tools.", param="tool_choice")
    return tools[0] if tools else None


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
