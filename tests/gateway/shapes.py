"""The kinds of calls that are proven alike: each endpoint, whole and streamed."""

from typing import Any

import msgspec

from tests.fake.raw import Heard


class Shape(msgspec.Struct, frozen=True):
    """`ends` is what the last event of a whole stream holds."""

    endpoint: str
    path: str
    input: dict[str, Any]
    stream: bool
    ends: str = ""

    def body(self, model: str, **more: object) -> dict[str, Any]:
        stream = {"stream": True} if self.stream else {}
        return {"model": model, **self.input, **stream, **more}

    def __str__(self) -> str:
        return f"{self.endpoint}-{'streamed' if self.stream else 'whole'}"

    def error_of(self, heard: Heard) -> dict[str, Any] | None:
        """The error inside a stream, in the shape of its dialect; None if there is none."""
        for event in heard.events:
            if event != "[DONE]":
                value = msgspec.json.decode(event)
                if value.get("type") == "error":
                    return dict(value)
                if value.get("error"):
                    return dict(value["error"])
        return None


_CHAT = {"messages": [{"role": "user", "content": "Say something of some length, please."}]}
_TEXT = {"prompt": "Say something of some length, please."}
_RESPONSE = {"input": "Say something of some length, please."}

WHOLE = (
    Shape("chat.completions", "/v1/chat/completions", _CHAT, False),
    Shape("completions", "/v1/completions", _TEXT, False),
    Shape("responses", "/v1/responses", _RESPONSE, False),
    Shape("embeddings", "/v1/embeddings", {"input": ["a text", "another text"]}, False),
)
STREAMED = (
    Shape("chat.completions", "/v1/chat/completions", _CHAT, True, "[DONE]"),
    Shape("completions", "/v1/completions", _TEXT, True, "[DONE]"),
    Shape("responses", "/v1/responses", _RESPONSE, True, "response.completed"),
)
ALL = (*WHOLE, *STREAMED)
