"""The first start makes two tokens and tells them once, wherever it is killed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatvault.access.credential import digest, well_formed
from chatvault.control.first_start import FirstStart
from tests.control.plane import PEPPER, Plane, open_plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with open_plane(tmp_path) as opened:
        yield opened


async def test_it_makes_a_management_and_a_client_token_once(plane: Plane) -> None:
    first = await plane.first_start.make()
    assert first is not None
    assert first.management_token is not None
    assert first.client_token is not None
    assert well_formed(first.client_token.encode())
    [client] = (await plane.vault.find([digest(PEPPER, first.client_token.encode())])).values()
    assert (client.name, client.project, client.kind) == ("first", "default", "client")
    assert await plane.vault.find([digest(PEPPER, first.management_token.encode())], "management")
    await plane.first_start.told()
    assert await plane.first_start.make() is None
    assert plane.journal.acts == [("control", "token.create")] * 2


async def test_tokens_that_nobody_was_told_of_are_revoked(plane: Plane) -> None:
    untold = await plane.first_start.make()
    told = await plane.first_start.make()
    assert untold is not None
    assert untold.client_token is not None
    assert told is not None
    assert told.client_token is not None
    old, new = digest(PEPPER, untold.client_token.encode()), digest(PEPPER, told.client_token.encode())
    found = await plane.vault.find([old, new])
    assert found[old].revoked_at is not None
    assert found[new].revoked_at is None


async def test_the_operators_own_management_token_is_enough(plane: Plane) -> None:
    given = FirstStart(plane.vault, plane.tokens, given=True)
    first = await given.make()
    assert first is not None
    assert first.management_token is None
    await given.told()
    assert await given.make() is None
    later = await plane.first_start.make()
    assert later is not None, "started without it, there would be none"
    assert later.management_token is not None
    assert later.client_token is None
