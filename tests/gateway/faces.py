"""Providers that speak one dialect alone."""

from chatvault.config.snapshot import Face, ProviderSnapshot
from chatvault.fake import FakeProvider
from tests.gateway.harness import KEY, TIMEOUTS

FACES = {
    "openai": ("/v1", {"authorization": f"Bearer {KEY}"}),
    "anthropic": ("/v1", {"x-api-key": KEY, "anthropic-version": "2023-06-01"}),
    "gemini": ("/v1beta", {"x-goog-api-key": KEY}),
    "ollama": ("", {"authorization": f"Bearer {KEY}"}),
}


def provider_of(fake: FakeProvider, dialect: str, name: str = "only") -> ProviderSnapshot:
    """A provider that speaks nothing but `dialect`."""
    family = dialect.partition(".")[0]
    prefix, headers = FACES[family]
    face = Face(base_url=fake.url + prefix, headers=headers)
    return ProviderSnapshot(
        name=name,
        kind="fake",
        base_url=face.base_url,
        headers=face.headers,
        faces={family: face},
        dialects=(dialect,),
        timeouts=TIMEOUTS,
    )
