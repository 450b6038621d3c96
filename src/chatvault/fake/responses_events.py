"""The events of a streamed response, in the order the real API sends them."""

from typing import Any

from chatvault.fake.answer import Event, Stream, json_event
from chatvault.fake.errors import error_object
from chatvault.fake.plan import Plan
from chatvault.fake.reply import Reply


class Numbered:
    """Collects events, each with its type and sequence number."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: str, fields: dict[str, Any], *, delta: bool = False) -> None:
        value = {"type": kind, "sequence_number": len(self.events), **fields}
        self.events.append(json_event(value, kind, delta=delta))


def respond_in_events(begun: dict[str, object], ended: dict[str, Any], reply: Reply, plan: Plan) -> Stream:
    """The stream that leads from the response as it is when begun to the one that has ended."""
    out = Numbered()
    out.add("response.created", {"response": begun})
    out.add("response.in_progress", {"response": begun})
    for index, item in enumerate(ended["output"]):
        match item["type"]:
            case "message":
                _message(out, index, item, reply)
            case "reasoning":
                out.add("response.output_item.added", {"output_index": index, "item": item})
                out.add("response.output_item.done", {"output_index": index, "item": item})
            case _:
                _call(out, index, item, reply)
    if plan.done and plan.finish:
        out.add(f"response.{ended['status']}", {"response": ended})
    return Stream(events=tuple(out.events), broken=_broken(begun, len(out.events)))


def _message(out: Numbered, index: int, item: dict[str, Any], reply: Reply) -> None:
    where = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    added = {**item, "status": "in_progress", "content": []}
    out.add("response.output_item.added", {"output_index": index, "item": added})
    out.add("response.content_part.added", {**where, "part": {**part, "text": ""}})
    for piece in reply.pieces:
        out.add("response.output_text.delta", {**where, "delta": piece, "logprobs": []}, delta=True)
    out.add("response.output_text.done", {**where, "text": reply.text, "logprobs": []}, delta=True)
    out.add("response.content_part.done", {**where, "part": part})
    out.add("response.output_item.done", {"output_index": index, "item": item})


def _call(out: Numbered, index: int, item: dict[str, Any], reply: Reply) -> None:
    custom = item["type"] == "custom_tool_call"
    kind, field = ("custom_tool_call_input", "input") if custom else ("function_call_arguments", "arguments")
    where = {"item_id": item["id"], "output_index": index}
    added = {**item, "status": "in_progress", field: ""}
    out.add("response.output_item.added", {"output_index": index, "item": added})
    for piece in reply.pieces:
        out.add(f"response.{kind}.delta", {**where, "delta": piece}, delta=True)
    named = {} if custom else {"name": item["name"]}
    out.add(f"response.{kind}.done", {**where, field: reply.text, **named}, delta=True)
    out.add("response.output_item.done", {"output_index": index, "item": item})


def _broken(begun: dict[str, object], number: int) -> tuple[Event, ...]:
    """What the stream says when it fails: an error event, then the response as failed."""
    error = error_object(500, "The simulated model broke off.", code="server_error")
    told = {"type": "error", "sequence_number": number, "code": error["code"], "message": error["message"]}
    failed = {**begun, "status": "failed", "error": {"code": error["code"], "message": error["message"]}}
    last = {"type": "response.failed", "sequence_number": number + 1, "response": failed}
    return json_event({**told, "param": None}, "error"), json_event(last, "response.failed")
