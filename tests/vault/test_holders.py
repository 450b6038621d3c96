"""Look-ups on a real SQLite database: a token with all that decides what it may do, in one go."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from chatvault.access.budget import Budget
from chatvault.access.holder import Holder
from chatvault.access.limits import Limits
from chatvault.access.store import KeptBudget
from chatvault.access.token import DEEPEST, Token
from chatvault.vault import schema
from chatvault.vault.store import Vault, open_vault


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with open_vault(tmp_path / "vault.db") as opened:
        yield opened


def token(number: int, **more: object) -> Token:
    return Token(id=f"tok_{number}", name="n", created_at=number, **more)  # type: ignore[arg-type]


def digest(number: int) -> bytes:
    return number.to_bytes(32)


async def found(vault: Vault, number: int) -> Holder:
    return (await vault.holders([digest(number)]))[digest(number)]


async def test_a_plain_token_is_found_and_a_strange_one_is_not(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    await vault.add(token(2, kind="management"), digest(2))
    assert await vault.holders([digest(1), digest(2), digest(3)]) == {digest(1): Holder(token=token(1))}
    assert await vault.holders([]) == {}


async def test_limits_and_budgets_come_from_all_sides(vault: Vault) -> None:
    await vault.add(token(1, project="p", user="ada", limits=Limits(concurrent=1)), digest(1))
    await vault.add(token(2, project="p"), digest(2))
    async with vault._database.change() as connection:
        await connection.execute(update(schema.projects).values(limits={"requests_per_day": 7}))
        await connection.execute(update(schema.users).values(limits={"tokens_per_day": 8}))
    for number, (scope, subject) in enumerate(
        [("user", "p/ada"), ("project", "p"), ("token", "tok_2"), ("model", "gpt-*"), ("user", "q/ada")]
    ):
        budget = Budget(id=f"bud_{number}", scope=scope, subject=subject, amount=1)  # type: ignore[arg-type]
        await vault.budgets.add(KeptBudget(budget=budget, project=None, created_at=1))
    both = await vault.holders([digest(1), digest(2)])
    first, second = both[digest(1)], both[digest(2)]
    assert (first.user_limits, first.project_limits) == (Limits(tokens_per_day=8), Limits(requests_per_day=7))
    assert (second.user_limits, second.project_limits) == (None, Limits(requests_per_day=7))
    assert [budget.id for budget in first.budgets] == ["bud_0", "bud_1", "bud_3"]
    assert [budget.id for budget in second.budgets] == ["bud_1", "bud_2", "bud_3"]


async def test_a_token_has_the_line_of_those_who_minted_it(vault: Vault) -> None:
    for number in range(DEEPEST + 3):
        await vault.add(token(number, parent=f"tok_{number - 1}" if number else None), digest(number))
    assert [parent.id for parent in (await found(vault, 3)).parents] == ["tok_2", "tok_1", "tok_0"]
    assert (await found(vault, 0)).parents == ()
    assert len((await found(vault, DEEPEST + 2)).parents) == DEEPEST


async def test_a_former_secret_is_found_with_the_end_of_its_grace(vault: Vault) -> None:
    await vault.add(token(1), digest(1))
    async with vault._database.change() as connection:
        former = {"digest": digest(9), "token_id": "tok_1", "until": 77}
        await connection.execute(insert(schema.former_digests).values(**former))
    both = await vault.holders([digest(1), digest(9)])
    assert both == {digest(1): Holder(token=token(1)), digest(9): Holder(token=token(1), until=77)}


@pytest.mark.parametrize("table", [schema.projects, schema.users], ids=["project", "user"])
async def test_who_is_switched_off_counts_as_revoked(vault: Vault, table: object) -> None:
    await vault.add(token(1, project="p", user="ada"), digest(1))
    assert not (await found(vault, 1)).revoked
    async with vault._database.change() as connection:
        await connection.execute(update(table).values(active=False))  # type: ignore[arg-type]
    assert (await found(vault, 1)).revoked


async def test_a_token_answers_for_all_that_were_minted_below_it(vault: Vault) -> None:
    for number, parent in ((0, None), (1, 0), (2, 1), (3, 1), (4, None)):
        await vault.add(token(number, parent=None if parent is None else f"tok_{parent}"), digest(number))
    minted = await vault.minted(["tok_0", "tok_1", "tok_4"])
    assert {owner: sorted(tokens) for owner, tokens in minted.items()} == {
        "tok_0": ["tok_1", "tok_2", "tok_3"],
        "tok_1": ["tok_2", "tok_3"],
    }
