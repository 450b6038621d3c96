"""Recorded exchanges, and a sample of them that is the same every time.

They are replayed where they lie, in the folder that CHATVAULT_RECORDED names; nothing of them is part of this
project.
"""

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from chatvault.fake.frames import event
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.bedrock.chunks import ChunkReader, anthropic_error
from chatvault.wire.bedrock.dialect import CONVERSE
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.hub.dialect import AnsweringDialect, ConversationDialect
from chatvault.wire.ollama.dialect import OLLAMA
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect

FOLDER: Final = Path(os.environ.get("CHATVAULT_RECORDED", "/nonexistent"))
DIALECTS: Final[dict[str, ConversationDialect]] = {
    "openai.chat": ChatDialect(),
    "openai.responses": ResponsesDialect(),
    "anthropic.messages": MESSAGES,
    "gemini.generate": GEMINI,
    "ollama.chat": OLLAMA,
}
SOURCES: Final[dict[str, AnsweringDialect]] = {
    **DIALECTS,
    "bedrock.converse": CONVERSE,
    "bedrock.invoke": MESSAGES,
}
"""Those whose answers were recorded: some are spoken by providers alone."""
_FILES: Final = {
    "bedrock.converse": ("bedrock.converse", "bedrock.converse_stream"),
    "bedrock.invoke": ("bedrock.invoke", "bedrock.invoke_stream"),
    "anthropic.messages": ("anthropic.messages", "vertex.anthropic"),
    "gemini.generate": ("gemini.generate", "gemini.stream"),
}
_BEGIN: Final = re.compile(r'^data: ?\{"type": ?"(?:message_start|response\.created)"', re.MULTILINE)
_DATA: Final = re.compile(r"^data: (.*)$", re.MULTILINE)


class Exchange(msgspec.Struct):
    id: str
    provider: str
    status: int
    streaming: bool | None = None
    request_body: Any = None
    response_body: str | None = None
    response_b64: str | None = None
    response_headers: dict[str, str] = {}
    method: str = "POST"
    path: str = ""
    url: str = ""
    fidelity: str = "wire"
    """`wire`: the body is what was sent, to the byte; others were written again from values."""

    @property
    def raw(self) -> bytes:
        """The answer's body as it was recorded. Some recordings hold several streams one behind the other; the first
        of them is an answer."""
        if self.response_b64 is not None:
            return base64.b64decode(self.response_b64)
        body = self.response_body or ""
        if self.streaming:
            begins = [match.start() for match in _BEGIN.finditer(body)]
            body = body[: body.rindex("\n\n", 0, begins[1]) + 2] if len(begins) > 1 else body
        return body.encode()

    @property
    def body(self) -> bytes:
        """Some recordings hold several of Anthropic's streams one behind the other; the first of them is an
        answer."""
        if self.response_b64 is not None:
            return base64.b64decode(self.response_b64)
        body, mark = self.response_body or "", '"type":"message_stop"'
        if self.streaming and body.count(mark) > 1:
            body = body[: body.index(mark)] + mark + "}\n\n"
        return body.encode()

    @property
    def request(self) -> bytes | None:
        return json.dumps(self.request_body).encode() if isinstance(self.request_body, dict) else None


def exchanges(dialect: str, *, at_most: int | None = None) -> list[Exchange]:
    """`at_most`: those with the smallest digests, so that a sample stays the same as others are added."""
    found = [each for file in _FILES.get(dialect, (dialect,)) for each in of_file(file)]
    if dialect == "bedrock.converse":
        found = [framed(each) for each in found]
    elif dialect == "bedrock.invoke":
        found = [each for said in found if (each := as_anthropics(said)) is not None]
    return sample(found, at_most)


def framed(exchange: Exchange) -> Exchange:
    """A stream that was written down event by event, in the frames it came in."""
    if exchange.response_b64 is not None:
        return msgspec.structs.replace(exchange, streaming=True)
    if exchange.fidelity != "chunks":
        return exchange
    events = [json.loads(data) for data in _DATA.findall(exchange.response_body or "")]
    body = b"".join(
        event(name, json.dumps(payload).encode()) for each in events for name, payload in each.items()
    )
    return msgspec.structs.replace(exchange, response_b64=base64.b64encode(body).decode())


def as_anthropics(exchange: Exchange) -> Exchange | None:
    """An answer of a model of Anthropic's, as the gateway passes it on. None: another model's, or one of the time
    before messages."""
    body = exchange.request_body
    if "anthropic." not in exchange.path or not (isinstance(body, dict) and "messages" in body):
        return None
    if exchange.status >= 400:
        said = anthropic_error(exchange.status, exchange.body)
    elif exchange.streaming:
        said = ChunkReader().feed(exchange.body)
    else:
        return exchange
    return msgspec.structs.replace(exchange, response_body=said.decode(), response_b64=None)


def sample(found: list[Exchange], at_most: int | None) -> list[Exchange]:
    if at_most is None or len(found) <= at_most:
        return found
    return sorted(found, key=digest)[:at_most]


def digest(exchange: Exchange) -> bytes:
    """What chooses for an exchange, the same every time."""
    return blake2b(exchange.id.encode()).digest()


def of_file(name: str) -> Iterator[Exchange]:
    decode = msgspec.json.Decoder(Exchange).decode
    with gzip.open(FOLDER / f"{name}.jsonl.gz") as lines:
        for line in lines:
            yield decode(line)
