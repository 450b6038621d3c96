"""The grammar of faults: a table of named parts, each of which changes the plan.

A model name is parts joined with `+`. The first may be a plain name (`echo`, `reasoner`, `gpt-4o`: anything
that is no fault), all others are faults; `cut-after-3`, `pace-20ms+events-50+no-usage` and `echo+crlf` are
model names. The header `x-fake-fault` holds faults only, applied after those of the model. Where two parts
differ on one matter, the later one counts. A first part that is no fault but begins like one that
takes a number (`cut-after`, `fail-teapot`), and one under `fault:`, is an error rather than a plain name.
"""

import re
from collections.abc import Callable

import msgspec

from chatvault.fake.plan import Plan

Changes = dict[str, object]
NUMBER = re.compile(r"\d{1,9}")


class UnknownFault(ValueError):
    """A part names no fault, or its number is out of range; the message lists the faults."""


class Fault(msgspec.Struct, frozen=True):
    """One row: its form, in which N and S stand for whole numbers, what it does, what it changes."""

    form: str
    does: str
    changes: Callable[..., Changes]
    most: int = 1_000_000
    least: int = 0

    def given(self, part: str) -> Changes:
        """What `part`, which has this form, changes. Raises UnknownFault if a number is out of range."""
        numbers = [int(digits) for digits in NUMBER.findall(part)]
        if numbers and not (self.least <= numbers[0] and max(numbers) <= self.most):
            raise UnknownFault(
                f"the fault {part!r} is out of range: {self.form} takes {self.least} to {self.most}"
            )
        return self.changes(*numbers)


FAULTS = (
    # failing outright
    Fault("fail-N", "answers with status N and an error object", lambda n: {"status": n}, 599, 400),
    Fault("fail-status-N", "the same", lambda n: {"status": n}, 599, 400),
    Fault(
        "fail-N-retry-after-S",
        "the same, with the header `retry-after: S`",
        lambda n, s: {"status": n, "retry_after": s},
        599,
        400,
    ),
    Fault(
        "fail-first-N",
        "answers 503 to the first N requests for this model name, then answers (no other fault remembers)",
        lambda n: {"fail_first": n},
    ),
    Fault("html", "answers 502 with a page of HTML", lambda: {"replaced": "html"}),
    Fault(
        "garbage", "answers 200 with bytes that are no JSON and no events", lambda: {"replaced": "garbage"}
    ),
    Fault("empty", "answers 200 with no body", lambda: {"replaced": "empty"}),
    Fault(
        "redirect", "answers 307 with a `location` elsewhere on this host", lambda: {"replaced": "redirect"}
    ),
    Fault("not-http", "answers with bytes that are not HTTP and closes", lambda: {"replaced": "not-http"}),
    Fault(
        "truncated-json",
        "the JSON ends in its middle, while HTTP ends as it should",
        lambda: {"truncated": True},
    ),
    # time
    Fault("slow-first-byte-Nms", "waits N ms before the first byte", lambda n: {"first_byte_ms": n}),
    Fault("slow-body-Nms", "sends the headers, then waits N ms before the body", lambda n: {"body_ms": n}),
    Fault("pace-Nms", "waits N ms before each content delta of a stream", lambda n: {"pace_ms": float(n)}),
    Fault("hang", "never answers; the connection stays open", lambda: {"end_after": -1, "ending": "stall"}),
    # ending early; N counts events of a stream, bytes of a whole body
    Fault(
        "stall-after-N", "sends N events, then nothing more", lambda n: {"end_after": n, "ending": "stall"}
    ),
    Fault("cut-after-N", "sends N events, then closes (FIN)", lambda n: {"end_after": n, "ending": "close"}),
    Fault(
        "reset-after-N", "sends N events, then resets (RST)", lambda n: {"end_after": n, "ending": "reset"}
    ),
    Fault("reset", "resets (RST) before the first byte", lambda: {"end_after": -1, "ending": "reset"}),
    Fault("close", "closes (FIN) before the first byte", lambda: {"end_after": -1, "ending": "close"}),
    Fault(
        "close-reused",
        "closes before the first byte if the connection has served a request already",
        lambda: {"end_after": -1, "ending": "close", "if_reused": True},
    ),
    Fault(
        "reset-reused",
        "resets before the first byte if the connection has served a request already",
        lambda: {"end_after": -1, "ending": "reset", "if_reused": True},
    ),
    # inside a stream
    Fault(
        "error-in-stream-after-N",
        "sends N events, then an error event, and ends; a whole answer is 200 with an error object",
        lambda n: {"error_after": n},
    ),
    Fault("garbage-after-N", "the event after the first N is no JSON", lambda n: {"garbage_after": n}),
    Fault(
        "no-done",
        "the stream ends without `[DONE]`; one of another API without its last event",
        lambda: {"done": False},
    ),
    Fault("no-finish", "no event has a finish reason", lambda: {"finish": False}),
    Fault(
        "events-N", "exactly N content deltas, hence N completion tokens", lambda n: {"events": n}, 100_000
    ),
    Fault("event-size-Nk", "each content delta is N KiB longer", lambda n: {"event_kib": n}, 65_536),
    Fault("size-Nk", "the text of the answer is N KiB long", lambda n: {"size_kib": n}, 65_536),
    Fault("lone-surrogate", "the text holds an escaped lone surrogate", lambda: {"surrogate": True}),
    Fault("bare-comment-pings", "a comment line `: ping` before each event", lambda: {"pings": True}),
    Fault("crlf", "lines of events end in CR LF", lambda: {"eol": b"\r\n"}),
    Fault("cr", "lines of events end in CR", lambda: {"eol": b"\r"}),
    Fault("no-space", "`data:` without the space after it", lambda: {"space": False}),
    Fault("bom", "the stream begins with a byte order mark", lambda: {"bom": True}),
    Fault("many-lines", "the JSON of an event lies on several `data:` lines", lambda: {"many_lines": True}),
    # usage
    Fault("no-usage", "no usage anywhere", lambda: {"usage": "none"}),
    Fault("usage-null", "`usage` is null to the end", lambda: {"usage": "null"}),
    Fault("usage-unasked", "the usage chunk comes though nobody asked", lambda: {"usage": "unasked"}),
    Fault(
        "usage-in-last-chunk",
        "usage lies in the chunk with the finish reason, asked or not",
        lambda: {"usage": "last-chunk"},
    ),
    Fault(
        "usage-in-every-chunk",
        "each chunk holds the usage so far, asked or not",
        lambda: {"usage": "every-chunk"},
    ),
    Fault("cached-N", "N prompt tokens were cached (at most all)", lambda n: {"cached": n}),
    Fault("reasoning-N", "N reasoning tokens beside the content", lambda n: {"reasoning": n}),
    # HTTP
    Fault("short-length", "`content-length` says less than is sent", lambda: {"length": "short"}),
    Fault("long-length", "`content-length` says more than is sent; then closes", lambda: {"length": "long"}),
    Fault("two-lengths", "two `content-length` headers that differ", lambda: {"length": "two"}),
    Fault(
        "eof-body", "no length at all: the body ends where the connection closes", lambda: {"length": "none"}
    ),
    Fault("old-http", "an HTTP/1.0 answer, ended by close", lambda: {"version": "1.0", "length": "none"}),
    Fault(
        "connection-close",
        "says `connection: close`, and closes after the answer",
        lambda: {"say_close": True},
    ),
    Fault("gzip", "compressed, whatever was asked", lambda: {"encoding": "gzip"}),
    Fault("deflate", "compressed, whatever was asked", lambda: {"encoding": "deflate"}),
    Fault("gzip-corrupt", "says gzip and is not", lambda: {"encoding": "gzip-corrupt"}),
    Fault(
        "gzip-bomb-Nm",
        "a small gzip body that decodes to N MiB of spaces",
        lambda n: {"bomb_mib": n},
        1024,
        1,
    ),
    Fault("chunk-N", "HTTP chunks of N bytes", lambda n: {"chunk": n}, least=1),
    Fault("bad-chunk", "the last HTTP chunk has a size that is no number", lambda: {"bad_chunk": True}),
    Fault("trailers", "trailer fields after the last chunk", lambda: {"trailers": True}),
    Fault("split-N", "every N bytes, headers too, are a write of their own", lambda n: {"split": n}, least=1),
    Fault("early-hints", "an informational answer (103) comes first", lambda: {"early_hints": True}),
    Fault("surplus", "a second answer follows that nobody asked for", lambda: {"surplus": True}),
    Fault("no-content-type", "no `content-type`", lambda: {"content_type": False}),
    Fault("big-header-Nk", "a response header of N KiB", lambda n: {"header_kib": n}, 4096, 1),
    Fault("set-cookie", "sets a cookie", lambda: {"set_cookie": True}),
)

FORMS = {fault.form.replace("S", "N"): fault for fault in FAULTS}
NUMBERED = tuple(
    sorted({fault.form.split("-")[0] + "-" for fault in FAULTS if re.search("[NS]", fault.form)})
)


def parse_model(model: str) -> Plan:
    """The plan a model name stands for; a leading `fake/` is ignored. Raises UnknownFault."""
    first, *rest = model.removeprefix("fake/").split("+")
    explicit = first.startswith("fault:")
    changes = _match(first.removeprefix("fault:"))
    if changes is not None:
        plan = msgspec.structs.replace(Plan(), **changes)
    elif explicit or first.startswith(NUMBERED):
        raise _unknown(first)
    else:
        plan = Plan(name=first)
    return _apply(plan, rest)


def parse_header(plan: Plan, header: str) -> Plan:
    """`plan` changed by the faults in a header's value. Raises UnknownFault."""
    return _apply(plan, header.strip().split("+")) if header.strip() else plan


def _apply(plan: Plan, parts: list[str]) -> Plan:
    for part in parts:
        changes = _match(part.strip())
        if changes is None:
            raise _unknown(part)
        plan = msgspec.structs.replace(plan, **changes)
    return plan


def _match(part: str) -> Changes | None:
    fault = FORMS.get(NUMBER.sub("N", part))
    return fault.given(part) if fault is not None else None


def _unknown(part: str) -> UnknownFault:
    return UnknownFault(
        f"no fault is called {part!r}; there are: " + ", ".join(fault.form for fault in FAULTS)
    )
