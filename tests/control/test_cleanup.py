"""Tokens that expired long ago are removed, on record, in batches."""

from pathlib import Path

import pytest

from chatvault.access.token import Token
from chatvault.control.cleanup import Cleanup
from chatvault.core.clock import now_us
from chatvault.core.errors import JournalError
from tests.control.plane import Plane, open_plane

DAY = 86_400_000_000


async def expired(plane: Plane, *days_ago: float) -> list[str]:
    """Their ids; a time that is to come is a token that holds."""
    ids = []
    for number, days in enumerate(days_ago):
        token = Token(id=f"tok_{number}", name="n", created_at=1, expires_at=now_us() - int(days * DAY))
        await plane.vault.add(token, bytes([number]) * 32)
        ids.append(token.id)
    return ids


async def test_what_expired_long_ago_is_removed_in_batches(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        ids = await expired(plane, 31, 40, 29, -1, 35)
        cleanup = Cleanup(plane.vault, plane.journal, lambda: 30 * 86_400.0, batch=2)
        assert await cleanup.sweep() == 3
        assert {token.id for token in await plane.vault.page(9)} == {ids[2], ids[3]}
        said = [(who, what, before and before["tokens"]) for who, what, _, before, _ in plane.journal.lines]
        assert said == [
            ("control", "token.remove", [ids[1], ids[4]]),
            ("control", "token.remove", [ids[0]]),
        ]
        assert await cleanup.sweep() == 0
        assert len(plane.journal.lines) == 2


async def test_what_cannot_be_recorded_is_not_removed(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        await expired(plane, 31)
        plane.journal.full = True
        with pytest.raises(JournalError):
            await Cleanup(plane.vault, plane.journal, lambda: 86_400.0).sweep()
        assert len(await plane.vault.page(9)) == 1


async def test_former_secrets_go_even_where_no_token_does(tmp_path: Path) -> None:
    async with open_plane(tmp_path) as plane:
        await plane.vault.add(Token(id="tok_1", name="n", created_at=1), b"1" * 32)
        await plane.vault.rotate("tok_1", b"2" * 32, now_us() - DAY)
        assert set(await plane.vault.holders([b"1" * 32])) == {b"1" * 32}
        await Cleanup(plane.vault, plane.journal, lambda: 60.0).sweep()
        assert await plane.vault.holders([b"1" * 32]) == {}
        assert plane.journal.lines == []
