"""Recorded exchanges of the dialects of a conversation, and a sample of them that is the same every time.

They are replayed where they lie, in the folder that CHATVAULT_RECORDED names; nothing of them is part of this
project.
"""

import gzip
import json
import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.hub.dialect import ConversationDialect
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
_FILES: Final = {
    "anthropic.messages": ("anthropic.messages", "vertex.anthropic"),
    "gemini.generate": ("gemini.generate", "gemini.stream"),
}


class Exchange(msgspec.Struct):
    id: str
    provider: str
    status: int
    streaming: bool | None = None
    request_body: Any = None
    response_body: str | None = None

    @property
    def body(self) -> bytes:
        """Some recordings hold several of Anthropic's streams one behind the other; the first of them is an
        answer."""
        body, mark = self.response_body or "", '"type":"message_stop"'
        if self.streaming and body.count(mark) > 1:
            body = body[: body.index(mark)] + mark + "}\n\n"
        return body.encode()

    @property
    def request(self) -> bytes | None:
        return json.dumps(self.request_body).encode() if isinstance(self.request_body, dict) else None


def exchanges(dialect: str, *, at_most: int | None = None) -> list[Exchange]:
    """`at_most`: those with the smallest digests, so that a sample stays the same as others are added."""
    found = list(_all(dialect))
    if at_most is None or len(found) <= at_most:
        return found
    return sorted(found, key=lambda each: blake2b(each.id.encode()).digest())[:at_most]


def _all(dialect: str) -> Iterator[Exchange]:
    decode = msgspec.json.Decoder(Exchange).decode
    for file in _FILES.get(dialect, (dialect,)):
        with gzip.open(FOLDER / f"{file}.jsonl.gz") as lines:
            for line in lines:
                yield decode(line)
