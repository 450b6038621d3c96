"""A request as it is handed to the library: OpenAI's fields and no others, since the library takes its own orders
(where to call, with which key) among them."""

import re
from typing import Any, Final

import msgspec

from chatvault.longtail.failures import Failure

CHAT: Final = frozenset(
    (
        "messages",
        "model",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
        "audio",
        "top_k",
        "min_p",
        "top_a",
        "repetition_penalty",
    )
)
"""What OpenAI's chat has, and what other providers have beside it."""
EMBEDDINGS: Final = frozenset(("model", "input", "dimensions", "encoding_format", "user"))
_ADDRESS: Final = re.compile(r"https?:/|//|\s")
"""Some of LiteLLM's names hold an address; where calls go is for the operator to say."""
_OURS: Final = ("function", "custom")


class Refused(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def read(body: bytes, fields: frozenset[str]) -> dict[str, Any]:
    """The request's fields. Raises Refused."""
    try:
        request = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise _refused(f"The body is no JSON object: {error}.", "invalid_json") from None
    for name in request:
        if name not in fields:
            raise _refused(
                f"The field '{name}' cannot be carried through LiteLLM. Leave it out.",
                "unsupported_parameter",
                name,
            )
    model = request.get("model")
    if not isinstance(model, str) or not model or _ADDRESS.search(model):
        raise _refused(
            "The field 'model' must be a name of LiteLLM's, as in replicate/meta/llama-3-8b.", None, "model"
        )
    for tool in request.get("tools") or ():
        if not isinstance(tool, dict) or tool.get("type") not in _OURS:
            raise _refused(
                "A tool must be of type function or custom: those that a server runs are not carried through LiteLLM.",
                "unsupported_parameter",
                "tools",
            )
    return request


def _refused(message: str, code: str | None, param: str | None = None) -> Refused:
    return Refused(Failure(400, "invalid_request_error", message, code, param))
