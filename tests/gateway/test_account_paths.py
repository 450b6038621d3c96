"""Paths to the provider's whole account are closed, however they are spelled."""

from pathlib import Path

import pytest

from chatvault.gateway.routes import ENDPOINTS, find_endpoint, model_in_path
from tests.gateway.harness import gateway

FAMILIES = sorted(
    {endpoint.name.partition(".")[2] for endpoint in ENDPOINTS if endpoint.name.startswith("account.")}
    - {"other", "chat", "models", "audio", "responses"}
)
SPELLINGS = (
    "/v1/%66ine_tuning/jobs",
    "/v1/fine_tunin%67/jobs",
    "/v1/Files",
    "/v1/FILES",
    "/v1/fiLes/file-1/content",
    "/v1/files;x/a",
    "/v1/files;x=/v1/chat/completions",
    "/v1/files/",
    "/v1/files/file-1",
    "/v1/files/a/b/c",
    "/v1/fine-tunes",
    "/v1/fine-tuning/jobs",
    "/v1/batch/jobs",
    "/v1/%62atches",
    "/v1/files!",
    "/v1/files%20",
    "/v1/files,",
    "/v1/~files",
    "/v1/chat/completions/chatcmpl-1",
    "/v1/%63hat/completions",
    "/v1/Chat/Completions",
    "/v1/chat/completions;x",
    "/v1/chat/completions/",
    "/v1/responses/resp-1/cancel",
    "/v1/models/ft:gpt-4o",
    "/v1/organization/admin_api_keys",
)


async def test_no_spelling_gets_a_default_token_past_its_families(tmp_path: Path) -> None:
    """The body names a model that the token may use, which opens what is nobody's family."""
    body = {"model": "fake/echo", "training_file": "file-1"}
    async with gateway(tmp_path) as gate:
        for path in (*SPELLINGS, *(f"/v1/{family}/x" for family in FAMILIES)):
            heard = await gate.send(gate.post(body, path))
            error = heard.json["error"]
            assert isinstance(error, dict)
            assert (heard.status, error["code"]) == (403, "endpoint_not_allowed"), path
        assert gate.fake.stats.connections == 0
    records = await gate.records()
    assert not records.opened
    assert sum(line.count for line in records.refused) == len(SPELLINGS) + len(FAMILIES)
    told = {line.endpoint for line in records.refused}
    told |= {endpoint for line in records.refused for _, endpoint, _, _ in line.kinds or ()}
    told.discard("several")  # a line that sums up many kinds
    assert all(endpoint.startswith("account.") for endpoint in told)
    assert len(told) > 10


async def test_every_method_is_closed(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            for path in ("/v1/files", "/v1/%66iles", "/v1/Files", "/v1/rerank", "/v1/chat/completions"):
                heard = await gate.send(gate.get(path, method), quiet=0.02 if method == "HEAD" else None)
                assert heard.status == 403, (method, path)
        assert gate.fake.stats.connections == 0


async def test_a_family_that_was_granted_opens_itself_alone(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("*", "account.fine_tuning"))
        heard = await gate.send(gate.post({"model": "fake/echo"}, "/v1/fine_tuning/jobs", token=token))
        assert heard.status == 404, "the simulated provider has none, but was asked"
        assert gate.fake.stats.connections == 1
        for path in ("/v1/%66ine_tuning/jobs", "/v1/Fine_tuning/jobs", "/v1/files", "/v1/fine-tunes"):
            assert (await gate.send(gate.post({"model": "fake/echo"}, path, token=token))).status == 403, path
        assert gate.fake.stats.connections == 1


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        (b"POST", b"/v1/chat/completions", "chat.completions"),
        (b"GET", b"/v1/chat/completions", "account.chat"),
        (b"POST", b"/v1/rerank", "other"),
        (b"POST", b"/v1/files2", "other"),
        (b"POST", b"/v1/ocr.v2/a-b_c", "other"),
        (b"GET", b"/v1/rerank", "account.other"),
        (b"POST", b"/v1/Rerank", "account.other"),
        (b"DELETE", b"/v1/models/x", "account.models"),
        (b"GET", b"/v1/models/Some%2FModel:1", "models"),
        (b"GET", b"/", "root"),
        (b"HEAD", b"/health", "health"),
        (b"POST", b"/health", None),
        (b"GET", b"/v2/files", None),
        (b"GET", b"/V1/files", None),
        (b"GET", b"/v1", None),
    ],
)
def test_what_paths_are_called(method: bytes, path: bytes, name: str | None) -> None:
    endpoint = find_endpoint(method, path)
    assert (endpoint.name if endpoint is not None else None) == name


def test_a_models_tag_is_part_of_its_name_in_geminis_paths() -> None:
    assert model_in_path(b"/v1beta/models/ollama/llama3.2:1b:generateContent") == (
        "ollama/llama3.2:1b",
        b"generateContent",
    )
    assert model_in_path(b"/v1beta/models/m:elsewhere")[1] == b"elsewhere"
    assert find_endpoint(b"POST", b"/v1beta/models/m:elsewhere") is None
