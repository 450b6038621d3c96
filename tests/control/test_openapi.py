"""The description of the control API is whole, and what is answered is what it describes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatvault.control.auth import PERMISSIONS
from chatvault.control.http_server import HttpServer
from tests.control.plane import MANAGEMENT, Plane, open_plane
from tests.control.test_usage import write

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""So many requests are made up for each operation, the same each time."""


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    await asyncio.to_thread(write, tmp_path)
    async with open_plane(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def served(plane: Plane) -> AsyncIterator[str]:
    """The plane on a port of its own; its address."""
    server = HttpServer(plane.edge)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run_on([listener]))
            await server.ready.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.stop()


def operations(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_it_is_served_to_those_who_may_ask(plane: Plane) -> None:
    answer = await plane.http.get("/openapi.json")
    assert answer.json() == plane.app.openapi()
    nobody = await plane.http.get("/openapi.json", headers={"authorization": "Bearer x"})
    assert nobody.status_code == 401


async def test_it_tells_what_each_route_needs_and_how_it_fails(plane: Plane) -> None:
    found = plane.app.openapi()
    assert set(plane.routes) == {name for name, _ in operations(found)}
    for name, operation in operations(found):
        if name != "GET /health":
            assert operation["security"] == [{"management": []}], name
            assert operation["x-permission"] in PERMISSIONS, name
        assert operation["description"], name
        assert {"4XX", "5XX"} < set(operation["responses"]), name
        assert "422" not in operation["responses"], name
    assert found["components"]["securitySchemes"]["management"]["scheme"] == "bearer"
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(found["components"]["schemas"])


async def test_made_up_requests_are_answered_as_described(plane: Plane) -> None:
    """No fault of ours, and no answer that the description does not know."""
    async with served(plane) as url:
        tried = await asyncio.to_thread(try_all, plane.app.openapi(), url)
    assert tried >= len(plane.routes) * 3


async def test_a_fault_and_an_answer_of_another_shape_would_be_found(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    found = plane.app.openapi()
    odd = found["paths"]["/manage/projects"]["get"]["responses"]["200"]["content"]["application/json"]
    monkeypatch.setitem(odd, "schema", {"type": "array"})
    monkeypatch.setattr(plane.queries, "rows", broken)
    async with served(plane) as url:
        for path, why in (("/usage", "Server error"), ("/manage/projects", "violates schema")):
            part = found | {"paths": {path: {"get": found["paths"][path]["get"]}}}
            with pytest.raises(FailureGroup, match=why):
                await asyncio.to_thread(try_all, part, url)


def try_all(description: dict[str, Any], url: str) -> int:
    """So many requests were made. Raises FailureGroup."""
    tried = 0

    def attempt(case: Any) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(
            base_url=url, headers={"Authorization": f"Bearer {MANAGEMENT}"}, checks=CHECKS, timeout=5
        )

    load: Any = schemathesis.openapi.from_dict  # half of what it gives is untyped
    made_up_by: Any = given
    for found in load(description).get_all_operations():
        BOUNDED(made_up_by(found.ok().as_strategy())(attempt))()
    return tried
