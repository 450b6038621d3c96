"""Azure OpenAI by its deployment paths: the model in the path, the version in the query, and no way around the
model that was checked."""

from pathlib import Path

import pytest

from chatvault.config.snapshot import Face, ProviderSnapshot
from chatvault.gateway.upstreams import Contexts, Upstream
from tests.fake.raw import chat
from tests.gateway.harness import Gate, gateway

VERSION = "api-version=2024-10-21"


def azure(gate: Gate) -> ProviderSnapshot:
    base_url = gate.fake.base_url.removesuffix("/v1") + "/openai"
    headers = {"api-key": "k"}
    return ProviderSnapshot(
        name="azure",
        kind="azure",
        base_url=base_url,
        headers=headers,
        faces={"openai": Face(base_url, headers)},
        path_style="azure-deployments",
        query=VERSION,
    )


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/chat/completions", "/openai/deployments/my%20one/chat/completions?api-version=2024-10-21"),
        (
            "/v1/chat/completions?a=1&api-version=2020-01-01",
            "/openai/deployments/my%20one/chat/completions?a=1&api-version=2024-10-21",
        ),
        (
            "/v1/deployments/other/chat/completions",
            "/openai/deployments/my%20one/deployments/other/chat/completions?api-version=2024-10-21",
        ),
        ("/v1/responses", "/openai/responses?api-version=2024-10-21"),
    ],
)
async def test_the_deployment_that_was_checked_is_the_one_that_is_asked(
    tmp_path: Path, path: str, target: str
) -> None:
    async with gateway(tmp_path) as gate:
        snapshot = gate.control.snapshot
        providers = {**snapshot.providers, "azure": azure(gate)}
        fields = {name: getattr(snapshot, name) for name in snapshot.__struct_fields__}
        await gate.control.configure(type(snapshot)(**fields | {"providers": providers}))
        await gate.send(gate.post(chat("azure/my one"), path))
        assert gate.fake.last is not None
        asked = f"{gate.fake.last.path}?{gate.fake.last.query}"
        assert asked == target
        assert gate.fake.last.headers["api-key"] == "k"


async def test_a_version_of_the_v1_path() -> None:
    provider = ProviderSnapshot(
        name="a", kind="azure", base_url="http://127.0.0.1:9/openai/v1", query="api-version=preview"
    )
    upstream = Upstream(provider, "openai", Contexts())
    target = upstream.target(b"/v1/chat/completions", b"?key=secret", "m")
    assert target == b"/openai/v1/chat/completions?api-version=preview"
