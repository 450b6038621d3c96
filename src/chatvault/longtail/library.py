"""LiteLLM, as far as it is used. The only file that imports it.

It is told to keep to itself: nothing is fetched but from the provider that is asked, nothing is read from a `.env`,
nothing is sent anywhere else, nothing is tried twice behind the gateway's back, and what a provider cannot take is an
error, not left out. The names are those of LiteLLM 1.110 (`litellm/__init__.py`, `litellm_core_utils/offline_mode.py`,
2026-11).
"""

import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from chatvault.core.errors import OperatorError
from chatvault.longtail.failures import Failure, failure_of

QUIET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_OFFLINE_MODE": "true",  # no catalogue, check or tokenizer of its own is fetched
    "LITELLM_MODE": "PRODUCTION",  # else it reads the `.env` of the working directory
    "LITELLM_LOG": "ERROR",
    "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB": "0",  # no URL of a client's is fetched
    "HF_HUB_OFFLINE": "1",
}
MISSING: Final = (
    "LiteLLM is not installed, and `kind: litellm` needs it. Run `make litellm` (or `pip install "
    "'chatvault[litellm]'`), then start again."
)
_ONCE: Final = {"num_retries": 0, "max_retries": 0}


class Library(Protocol):
    """What the server asks. Requests and answers are OpenAI's, as plain values; errors are the library's own."""

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]: ...

    async def chat_stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]: ...

    async def embed(self, request: dict[str, Any]) -> dict[str, Any]: ...

    def failure(self, error: Exception) -> Failure | None:
        """What the caller is told of an error; None for one that is not the library's."""


class LiteLLM:
    """The `Library`. `secrets` are texts that no error may show."""

    def __init__(self, module: Any, secrets: tuple[str, ...]) -> None:
        self._module = module
        self._secrets = secrets

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = await self._module.acompletion(**request, **_ONCE)
        told: dict[str, Any] = answer.model_dump(exclude_none=True)
        for choice in told.get("choices", ()):
            choice.get("message", {}).setdefault("content", None)
        return told

    async def chat_stream(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        chunks = await self._module.acompletion(**request, **_ONCE)
        return _told(chunks)

    async def embed(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = await self._module.aembedding(**request, **_ONCE)
        told: dict[str, Any] = answer.model_dump(exclude_none=True)
        return told

    def failure(self, error: Exception) -> Failure | None:
        return failure_of(error, self._module, self._secrets)


async def _told(chunks: Any) -> AsyncIterator[dict[str, Any]]:
    try:
        async for chunk in chunks:
            yield chunk.model_dump(exclude_none=True)
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def load(environ: Mapping[str, str]) -> Library:
    """The library, with these variables in its process's environment. Raises OperatorError where it is not there."""
    os.environ.update(environ)
    os.environ.update(QUIET)
    try:
        import litellm
    except ImportError as error:
        raise OperatorError(MISSING, code="litellm_not_installed") from error
    litellm.drop_params = False
    litellm.modify_params = False
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    return LiteLLM(litellm, tuple(value for value in environ.values() if len(value) >= 8))
