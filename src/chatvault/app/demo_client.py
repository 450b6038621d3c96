"""The demo's client: the real `openai` package, pointed at the gateway."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from chatvault.app.demo_stage import expect
from chatvault.core.errors import OperatorError

if TYPE_CHECKING:
    from openai import OpenAI

PROMPT = "A vault keeps what it is given, and can prove it."


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `id` is the record's; times are milliseconds; `events` and `first_ms` are a stream's."""

    id: str
    text: str
    input: int
    output: int
    took_ms: float
    events: int = 0
    first_ms: float = 0.0


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that did not become whole: what the client had of it, and how its library put it."""

    id: str
    events: int
    error: str


class DemoClient:
    """`name` is the model, as the gateway calls it. Every id that an answer bore is in `ids`, in order."""

    def __init__(self, url: str, token: str, model: str) -> None:
        """Raises OperatorError where the openai package is missing."""
        self.model = model
        self.ids: list[str] = []
        self._client = openai_client(f"{url}/v1", token)

    def close(self) -> None:
        self._client.close()

    def models(self) -> list[str]:
        return [model.id for model in self._client.models.list()]

    def whole(self) -> Said:
        began = time.monotonic()
        raw = self._client.chat.completions.with_raw_response.create(
            model=self.model, messages=[{"role": "user", "content": PROMPT}], max_tokens=60
        )
        answer = raw.parse()
        expect(answer.usage is not None, "A whole answer should say what was used.")
        assert answer.usage is not None
        return Said(
            id=self._note(raw.headers.get("x-request-id")),
            text=answer.choices[0].message.content or "",
            input=answer.usage.prompt_tokens,
            output=answer.usage.completion_tokens,
            took_ms=1000 * (time.monotonic() - began),
        )

    def streamed(self) -> Said:
        began, first, events, text = time.monotonic(), 0.0, 0, ""
        # Usage is asked for, so that what the client was told can be held against the ledger.
        with self._client.chat.completions.create(
            model=self.model,
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=60,
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            id = self._note(stream.response.headers.get("x-request-id"))
            usage = None
            for chunk in stream:
                first = first or 1000 * (time.monotonic() - began)
                events += 1
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
                usage = chunk.usage or usage
        expect(usage is not None, "A stream should say what was used when it is asked to.")
        assert usage is not None
        took = 1000 * (time.monotonic() - began)
        return Said(
            id=id,
            text=text,
            input=usage.prompt_tokens,
            output=usage.completion_tokens,
            took_ms=took,
            events=events,
            first_ms=first,
        )

    def embedded(self, model: str) -> tuple[str, int]:
        """The record's id, and the length of the vector."""
        raw = self._client.embeddings.with_raw_response.create(model=model, input=PROMPT)
        return self._note(raw.headers.get("x-request-id")), len(raw.parse().data[0].embedding)

    def broken(self, model: str, when: Callable[[int], None] | None = None) -> Broken:
        """A stream that will not become whole. `when` is called with the number of each event."""
        import httpx2
        from openai import APIError

        events, error = 0, ""
        with self._client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": PROMPT}], max_tokens=300, stream=True
        ) as stream:
            id = self._note(stream.response.headers.get("x-request-id"))
            try:
                for _ in stream:
                    events += 1
                    if when is not None:
                        when(events)
            except (APIError, httpx2.HTTPError) as raised:
                error = f"{type(raised).__name__}: {raised}"
        expect(bool(error), f"The stream of {model} broke, and the client was not told.")
        return Broken(id=id, events=events, error=error)

    def _note(self, id: str | None) -> str:
        expect(bool(id), "Every answer should bear an x-request-id.")
        assert id is not None
        self.ids.append(id)
        return id


def openai_client(base_url: str, key: str) -> "OpenAI":
    """Without retries, which would hide what happens, and without the environment's proxies. Raises
    OperatorError."""
    try:
        from openai import DefaultHttpxClient, OpenAI
    except ImportError as error:
        raise OperatorError(
            "The demo needs the openai package, the client it shows. Run `make demo`, which installs it, "
            "or `pip install openai`.",
            code="openai_missing",
        ) from error
    return OpenAI(
        base_url=base_url,
        api_key=key,
        max_retries=0,
        timeout=60,
        http_client=DefaultHttpxClient(trust_env=False),
    )
