"""docs/api.md has every route with its policy, every field, and every code."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import chatvault
from chatvault.access.token import Token
from chatvault.control.api import policy_of
from chatvault.control.budgets import NewBudget
from chatvault.control.forms import LimitsForm
from chatvault.control.projects import NewProject
from chatvault.control.provider_keys import NewProviderKey
from chatvault.control.reconcile import RealCost
from chatvault.control.token_forms import ChangedToken, MintedToken, NewToken
from chatvault.control.token_routes import shown as shown_token
from chatvault.control.users import NewUser
from chatvault.feed.messages import Health
from chatvault.ledger.schema import usage_logs
from chatvault.ledger.summary import DIMENSIONS, Summary
from tests.control.plane import Plane, open_plane

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
SECTIONS = dict(re.findall(r"^### `([A-Z]+ /[^`]*)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def test_every_route_is_documented_with_its_policy_and_parameters(plane: Plane) -> None:
    paths = plane.app.openapi()["paths"]
    known = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(SECTIONS) == known
    for name, router_route in plane.routes.items():
        policy = policy_of(router_route)
        stated = "none, open to everyone" if policy == "everyone" else f"`{policy}`"
        assert f"Permission: {stated}" in SECTIONS[name], name
    assert set(plane.routes) == known


@pytest.mark.parametrize(
    "names",
    [
        list(NewToken.model_fields),
        list(ChangedToken.model_fields),
        list(MintedToken.model_fields),
        list(NewProject.model_fields),
        list(NewUser.model_fields),
        list(NewBudget.model_fields),
        list(RealCost.model_fields),
        list(NewProviderKey.model_fields),
        list(LimitsForm.model_fields),
        [name for name in Health.__struct_fields__ if name != "used"],
        [column.name for column in usage_logs.columns],
        [name for name in Summary.__struct_fields__ if name not in ("group", "first_us", "last_us")],
        list(DIMENSIONS),
    ],
)
def test_every_field_is_documented(names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in TEXT] == []


def test_every_code_is_documented() -> None:
    source = Path(chatvault.__file__).parent
    codes: set[str] = set()
    for folder in ("control", "vault"):
        for file in (source / folder).glob("*.py"):
            codes.update(re.findall(r'code="([a-z_]+)"', file.read_text()))
            codes.update(re.findall(r'^    "(vault_[a-z_]+)":', file.read_text(), re.MULTILINE))
    only_at_start = {"socket_unavailable", "data_dir_unwritable"}
    assert sorted(code for code in codes - only_at_start if f"`{code}`" not in TEXT) == []


def test_the_example_is_what_the_api_shows() -> None:
    example = re.search(r"^201:\n\n```json\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)
    assert example is not None
    shown = msgspec.json.decode(example[1])
    token = Token(id="tok_1", name="n", created_at=1)
    assert set(shown) == {"token", *shown_token(token, None)}
