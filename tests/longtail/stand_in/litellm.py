"""Stands where LiteLLM would, for processes whose PYTHONPATH begins with this folder: as little of it as is used."""

import asyncio
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any


class APIError(Exception):
    status_code = 500
    message = "litellm.APIError: it failed"


exceptions = SimpleNamespace(APIError=APIError)
drop_params = modify_params = True
suppress_debug_info = turn_off_message_logging = False
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


class _Model:
    def __init__(self, **values: Any) -> None:
        self._values = values

    def model_dump(self, *, exclude_none: bool) -> dict[str, Any]:
        return {name: value for name, value in self._values.items() if value is not None or not exclude_none}


async def acompletion(*, model: str, messages: list[Any], stream: bool = False, **more: Any) -> Any:
    if model == "other/fail":
        raise APIError
    if stream:
        return _chunks(model)
    text = f"{os.environ.get('TAIL_KEY')} {sorted(name for name in os.environ if 'SECRET' in name)} {drop_params}"
    message = {"role": "assistant", "content": text}
    return _Model(
        id="c-1",
        object="chat.completion",
        created=1,
        model=model,
        choices=[{"index": 0, "message": message, "finish_reason": "stop"}],
        usage=USAGE,
    )


async def _chunks(model: str) -> AsyncIterator[_Model]:
    for text in ("one ", "two"):
        yield _chunk(model, [{"index": 0, "delta": {"role": "assistant", "content": text}}])
    if model == "other/stall":
        await asyncio.Event().wait()
    yield _chunk(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    yield _chunk(model, [], USAGE)


def _chunk(model: str, choices: list[Any], usage: dict[str, int] | None = None) -> _Model:
    return _Model(
        id="c-1", object="chat.completion.chunk", created=1, model=model, choices=choices, usage=usage
    )


async def aembedding(*, model: str, input: list[str], **more: Any) -> _Model:
    data = [{"object": "embedding", "index": at, "embedding": [0.5]} for at in range(len(input))]
    return _Model(
        object="list", model=model, data=data, usage={"prompt_tokens": len(input), "total_tokens": len(input)}
    )
