"""The provider's own pages: they tell what it saw, are never counted, and know no faults."""

import base64
from typing import Protocol

import msgspec

from chatvault.fake.answer import Answer, Whole, json_answer
from chatvault.fake.plan import Plan
from chatvault.fake.request import Request
from chatvault.fake.script import Context, Script, write_script
from chatvault.fake.stats import Stats

WELCOME = (
    b"This is ChatVault's simulated provider: OpenAI's API and Anthropic's under /v1/,\n"
    b"Gemini's under /v1beta/, Ollama's under /api/; faults by model name.\n"
    b"GET /stats  what it saw (?ids=0 without ids)\nDELETE /stats  forgets it\nGET /last  the last request\n"
)


class Witness(Protocol):
    """What the pages tell about."""

    stats: Stats
    last: Request | None


def page(witness: Witness, request: Request, *, keep_alive: bool) -> Script | None:
    """The script of an own page, None if the request is for the API."""
    answer = _answer(witness, request)
    if answer is None:
        return None
    context = Context(head_only=request.method == "HEAD", keep_alive=keep_alive)
    return write_script(Plan(), answer, context)


def _answer(witness: Witness, request: Request) -> Answer | None:
    match request.method, request.path:
        case "GET" | "HEAD", "/":
            return Whole(body=WELCOME, content_type="text/plain; charset=utf-8")
        case "GET", "/stats":
            seen = witness.stats.snapshot()
            return json_answer(
                msgspec.structs.replace(seen, ids=[], aborts=[]) if request.query == "ids=0" else seen
            )
        case "DELETE", "/stats":
            witness.stats.clear()
            return json_answer({"cleared": True})
        case "GET", "/last":
            return json_answer(_shown(witness.last))
        case _:
            return None


def _shown(last: Request | None) -> dict[str, object]:
    """A request with its body as text if it is text, else as base64 in `body_b64`. Empty if none came."""
    if last is None:
        return {}
    shown: dict[str, object] = {
        "method": last.method,
        "path": last.path,
        "query": last.query,
        "headers": last.headers,
    }
    try:
        return {**shown, "body": last.body.decode()}
    except UnicodeDecodeError:
        return {**shown, "body_b64": base64.b64encode(last.body).decode()}
