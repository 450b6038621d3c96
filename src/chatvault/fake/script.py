"""From an answer and a plan to a script: which bytes are written when, and how it ends. Sans-IO.

The order of the steps below is the order of the layers: the events, their framing as server-sent events, the
compression, the HTTP body's framing, the head, and last the cutting into writes.
"""

import msgspec

from chatvault.fake.answer import EVENTS, Answer, Event, Stream, Whole
from chatvault.fake.compress import compress
from chatvault.fake.head import Head, head_bytes
from chatvault.fake.plan import Ending, Plan
from chatvault.fake.reply import SURROGATE

WRITE = 65_536
"""Bytes up to which pieces without a wait between them are written as one."""
MARK = SURROGATE.encode()


class Step(msgspec.Struct, frozen=True):
    """One write: what, how many seconds after the last one, and how many events are out once it is done."""

    data: bytes
    wait_s: float = 0.0
    events: int = 0


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """All writes of an answer, and what happens then. `apart`: each write must be a packet of its own."""

    steps: tuple[Step, ...]
    ending: Ending = "normal"
    keep_alive: bool = True
    apart: bool = False

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(step.data) for step in self.steps)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What of the request and the provider matters to a script."""

    head_only: bool = False
    keep_alive: bool = True
    reused: bool = False
    pace_ms: float = 0.0
    request_id: str = "req_0"
    broken: bytes = b""
    """An error answer in the dialect that is spoken, for a whole answer that turns out to be one."""


def write_script(plan: Plan, answer: Answer, context: Context) -> Script:
    """The script of `answer` as `plan` has it."""
    ending, end_after = plan.ending, plan.end_after
    if plan.if_reused and not context.reused:
        ending, end_after = "normal", None
    first = plan.first_byte_ms / 1000
    if end_after == -1:
        return Script(steps=(Step(b"", first),), ending=ending)
    if plan.replaced == "not-http":
        return Script(steps=(Step(b"\x16\x03\x01 this is not HTTP\r\n\r\n", first),), ending="close")
    answer = _damaged(_replaced(plan, answer), plan, context)
    body = _body(answer, plan, context)
    head, body, tail = _framed(answer, body, plan, context)
    broken = end_after is not None or plan.length == "long"
    if context.head_only:
        body, tail = [], b""
    elif end_after is not None:
        body, tail = _cut(body, end_after, whole=isinstance(answer, Whole)), b""
    steps = _steps(head, body, tail, plan)
    if plan.split:
        steps = [s for step in steps for s in _split(step, plan.split)]
    if plan.length == "long" and ending == "normal":
        ending = "close"
    keep = context.keep_alive and not (plan.say_close or plan.length == "none" or plan.bad_chunk)
    apart = plan.split > 0 or plan.early_hints or plan.surplus
    return Script(steps=tuple(steps), ending=ending if broken else "normal", keep_alive=keep, apart=apart)


def _replaced(plan: Plan, answer: Answer) -> Answer:
    match plan.replaced:
        case "html":
            page = b"<!DOCTYPE html>\n<html><head><title>502</title></head><body>Bad gateway</body></html>\n"
            return Whole(body=page, status=502, content_type="text/html; charset=utf-8")
        case "garbage":
            kind = EVENTS if isinstance(answer, Stream) else answer.content_type
            return Whole(body=b"\x00\xff\xfe}{ garbage ][\x80" * 8, content_type=kind)
        case "empty":
            return Whole(body=b"", content_type=answer.content_type)
        case "redirect":
            return Whole(body=b"", status=307, headers=(("location", "/elsewhere"),))
        case _:
            return answer


def _damaged(answer: Answer, plan: Plan, context: Context) -> Answer:
    """`answer` with an error, garbage or an early end of its JSON in it."""
    if isinstance(answer, Whole):
        body = answer.body
        if plan.error_after is not None:
            body = context.broken
        if plan.garbage_after is not None:
            body = body[: plan.garbage_after] + b"\x00garbage"
        if plan.truncated:
            body = body[: len(body) // 2]
        return msgspec.structs.replace(
            answer, body=body.replace(MARK, b"\\ud800") if plan.surrogate else body
        )
    events = answer.events
    if plan.error_after is not None:
        events = events[: plan.error_after] + answer.broken
    if plan.garbage_after is not None:
        rest = events[plan.garbage_after + 1 :]
        events = (*events[: plan.garbage_after], Event(b'{"garbage": tru', delta=True), *rest)
    if plan.truncated:
        half = events[len(events) // 2]
        events = (*events[: len(events) // 2], Event(half.data[: len(half.data) // 2], half.name, delta=True))
    if plan.surrogate:
        events = tuple(msgspec.structs.replace(e, data=e.data.replace(MARK, b"\\ud800")) for e in events)
    return msgspec.structs.replace(answer, events=events)


class _Part(msgspec.Struct):
    """Bytes of the body, how many events they hold, and the wait before them in seconds."""

    data: bytes
    events: int = 0
    wait_s: float = 0.0


def _body(answer: Answer, plan: Plan, context: Context) -> list[_Part]:
    if isinstance(answer, Whole):
        parts = [_Part(answer.body)] if answer.body else []
    else:
        pace = (context.pace_ms if plan.pace_ms is None else plan.pace_ms) / 1000
        frame = FRAMES.get(answer.framing, _raw_bytes)
        parts = [_Part(frame(event, plan), 1, pace if event.delta else 0.0) for event in answer.events]
        if answer.framing in ("array", "open-array"):
            for place, part in enumerate(parts):
                part.data = (b",\r\n" if place else b"[") + part.data
            if answer.framing == "array":
                parts.append(_Part(b"\n]\n" if parts else b"[]\n"))
        if plan.bom and answer.framing == "sse":
            parts.insert(0, _Part(b"\xef\xbb\xbf"))
    if plan.encoding or plan.bomb_mib:
        coded = compress([part.data for part in parts], plan.encoding, plan.bomb_mib)
        if plan.bomb_mib:
            return [_Part(coded[0])]
        for part, data in zip(parts, coded, strict=True):
            part.data = data
    return parts


def _raw_bytes(event: Event, plan: Plan) -> bytes:
    return event.data


def _line_bytes(event: Event, plan: Plan) -> bytes:
    return event.data + plan.eol


def _event_bytes(event: Event, plan: Plan) -> bytes:
    eol, field = plan.eol, b"data: " if plan.space else b"data:"
    data = event.data
    if plan.many_lines and data[:1] == b"{":
        data = msgspec.json.format(data, indent=1).replace(b"\n", eol + field)
    name = b"event: " + event.name.encode() + eol if event.name else b""
    ping = b": ping" + eol + eol if plan.pings else b""
    return ping + name + field + data + eol + eol


FRAMES = {"sse": _event_bytes, "lines": _line_bytes}


def _framed(
    answer: Answer, body: list[_Part], plan: Plan, context: Context
) -> tuple[bytes, list[_Part], bytes]:
    """Head, body and tail as HTTP/1.1 carries them."""
    total = sum(len(part.data) for part in body)
    chunked = not plan.length and (
        isinstance(answer, Stream) or plan.chunk > 0 or plan.bad_chunk or plan.trailers
    )
    lengths: tuple[int, ...] = (total,)
    match plan.length:
        case "short":
            lengths = (total // 2,)
        case "long":
            lengths = (total + 100,)
        case "two":
            lengths = (total, total + 1)
        case "none":
            lengths = ()
    head = head_bytes(
        plan,
        Head(
            status=answer.status if isinstance(answer, Whole) else 200,
            content_type=answer.content_type,
            headers=answer.headers if isinstance(answer, Whole) else (),
            lengths=() if chunked else lengths,
            chunked=chunked,
            close=not context.keep_alive or plan.say_close or plan.length == "none" or plan.bad_chunk,
            request_id=context.request_id,
        ),
    )
    if not chunked:
        return head, body, b""
    for part in body:
        part.data = _chunks(part.data, plan.chunk)
    tail = b"0\r\n" + (b"x-simulated-trailer: yes\r\n" if plan.trailers else b"") + b"\r\n"
    return head, body, b"xyz\r\nno size\r\n" if plan.bad_chunk else tail


def _chunks(data: bytes, size: int) -> bytes:
    slices = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in slices if part)


def _cut(body: list[_Part], count: int, *, whole: bool) -> list[_Part]:
    """The first `count` events of a stream, or bytes of a whole body."""
    if whole:
        return [_Part(b"".join(part.data for part in body)[:count])]
    kept, events = [], 0
    for part in body:
        events += part.events
        if events > count:
            break
        kept.append(part)
    return kept


def _steps(head: bytes, body: list[_Part], tail: bytes, plan: Plan) -> list[Step]:
    """The writes: pieces without a wait between them are joined."""
    steps: list[Step] = []
    if plan.early_hints:
        steps.append(Step(b"HTTP/1.1 103 Early Hints\r\nlink: </hint>; rel=preload\r\n\r\n"))
    pending, wait, events = bytearray(head), 0.0, 0
    later = plan.body_ms / 1000
    for part in (*body, _Part(tail)):
        due = part.wait_s + later
        if due or len(pending) >= WRITE:
            steps.append(Step(bytes(pending), wait, events))
            pending, wait, later = bytearray(), due, 0.0
        pending += part.data
        events += part.events
    steps.append(Step(bytes(pending), wait, events))
    if plan.surplus:
        steps.append(Step(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 0.0, events))
    if plan.first_byte_ms:
        steps[0] = msgspec.structs.replace(steps[0], wait_s=steps[0].wait_s + plan.first_byte_ms / 1000)
    return steps


def _split(step: Step, size: int) -> list[Step]:
    slices = [step.data[at : at + size] for at in range(0, len(step.data), size)] or [b""]
    return [Step(slices[0], step.wait_s, step.events), *(Step(part, 0.0, step.events) for part in slices[1:])]
