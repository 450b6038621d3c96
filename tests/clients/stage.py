"""A gateway before one simulated provider for each dialect."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from chatvault.config.schema import ModelConfig
from chatvault.config.snapshot import ProviderSnapshot
from chatvault.fake import FakeProvider
from tests.gateway.faces import provider_of
from tests.gateway.harness import KEY, Gate, gateway

PROVIDERS = {
    "chat": "openai.chat",
    "responses": "openai.responses",
    "claude": "anthropic.messages",
    "gemini": "gemini.generate",
    "ollama": "ollama.chat",
}


@asynccontextmanager
async def before_all(
    tmp_path: Path, names: Mapping[str, str], **more: ProviderSnapshot
) -> AsyncIterator[tuple[Gate, dict[str, FakeProvider]]]:
    """Its models are `provider/model`; `names` are further ones, and which of those they mean. `more` are further
    providers."""
    async with AsyncExitStack() as stack:
        fakes = {
            name: await stack.enter_async_context(FakeProvider(api_key=KEY, marker="x-request-id"))
            for name in PROVIDERS
        }
        providers = {name: provider_of(fakes[name], dialect, name) for name, dialect in PROVIDERS.items()}
        models = {
            name: ModelConfig(provider=target.partition("/")[0], model=target.partition("/")[2])
            for name, target in names.items()
        }
        gate = await stack.enter_async_context(gateway(tmp_path, providers=providers | more, models=models))
        yield gate, fakes
