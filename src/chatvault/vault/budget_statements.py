"""Every statement about budgets and leases, by name. Values come by parameters only."""

from typing import Final

from sqlalchemy import and_, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from chatvault.access.budget import REQUESTS
from chatvault.vault.schema import budget_periods, budgets, leases, reconciled, tokens

_PERIOD = and_(
    budget_periods.c.budget_id == bindparam("budget"), budget_periods.c.start == bindparam("from_start")
)
_ONE_LEASE = and_(
    leases.c.budget_id == bindparam("budget"),
    leases.c.start == bindparam("from_start"),
    leases.c.chain == bindparam("of"),
)

ADD: Final = insert(budgets)
GET: Final = select(budgets).where(budgets.c.id == bindparam("id"))
PAGE: Final = (
    select(budgets)
    .where(
        or_(bindparam("project").is_(None), budgets.c.project_id == bindparam("project")),
        or_(bindparam("scope").is_(None), budgets.c.scope == bindparam("scope")),
        or_(bindparam("subject").is_(None), budgets.c.subject == bindparam("subject")),
        budgets.c.id > bindparam("after"),
    )
    .order_by(budgets.c.id)
    .limit(bindparam("limit"))
)
CHANGE: Final = (
    update(budgets)
    .where(budgets.c.id == bindparam("budget"))
    .values(
        amount=bindparam("amount"),
        hard=bindparam("hard"),
        allow_unbounded=bindparam("allow_unbounded"),
        ended_at=bindparam("ended_at"),
    )
)
PAYING: Final = (
    select(budgets)
    .where(
        budgets.c.ended_at.is_(None),
        or_(
            budgets.c.scope == "model",
            tuple_(budgets.c.scope, budgets.c.subject).in_(bindparam("subjects", expanding=True)),
        ),
    )
    .order_by(budgets.c.id)
)

END_OF_TOKENS: Final = (
    update(budgets)
    .where(
        budgets.c.scope == "token",
        budgets.c.subject.in_(bindparam("ids", expanding=True)),
        budgets.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
)

AMOUNT: Final = select(budgets.c.amount).where(
    budgets.c.id == bindparam("budget"), budgets.c.ended_at.is_(None)
)
MAX_REQUESTS: Final = select(tokens.c.max_requests).where(
    tokens.c.id == bindparam("token"), tokens.c.revoked_at.is_(None)
)
OPEN_PERIOD: Final = insert(budget_periods).values(committed=0, used=0).on_conflict_do_nothing()
COMMITTED: Final = select(budget_periods.c.committed).where(_PERIOD)
COMMIT: Final = (
    update(budget_periods).where(_PERIOD).values(committed=budget_periods.c.committed + bindparam("by"))
)
USE: Final = update(budget_periods).where(_PERIOD).values(used=budget_periods.c.used + bindparam("by"))
WITH_LEASES: Final = (
    select(budget_periods, leases.c.chain, leases.c.amount)
    .select_from(
        budget_periods.outerjoin(
            leases,
            and_(leases.c.budget_id == budget_periods.c.budget_id, leases.c.start == budget_periods.c.start),
        )
    )
    .where(budget_periods.c.budget_id.in_(bindparam("budgets", expanding=True)))
    .order_by(budget_periods.c.budget_id, budget_periods.c.start, leases.c.chain)
)
"""What is spent and lent, of one moment."""

_REQUESTS = f"/{REQUESTS}"
_OF_TOKEN = func.substr(
    budget_periods.c.budget_id, 1, func.length(budget_periods.c.budget_id) - len(_REQUESTS)
)
_AMOUNT = func.coalesce(budgets.c.amount, tokens.c.max_requests)
_LEVELS = (
    select(budget_periods.c.budget_id, budget_periods.c.start, budget_periods.c.used, _AMOUNT.label("amount"))
    .select_from(
        budget_periods.outerjoin(
            budgets, and_(budgets.c.id == budget_periods.c.budget_id, budgets.c.ended_at.is_(None))
        ).outerjoin(
            tokens,
            and_(
                budget_periods.c.budget_id.endswith(_REQUESTS),
                tokens.c.id == _OF_TOKEN,
                tokens.c.revoked_at.is_(None),
            ),
        )
    )
    .where(_AMOUNT.is_not(None))
)
LEVELS: Final = _LEVELS.where(
    tuple_(budget_periods.c.budget_id, budget_periods.c.start).in_(bindparam("keys", expanding=True))
)
HIGH_LEVELS: Final = _LEVELS.where(
    or_(budget_periods.c.start == 0, budget_periods.c.start >= bindparam("since")),
    budget_periods.c.used > 0,
    budget_periods.c.used >= _AMOUNT // 100 * bindparam("percent"),
)
"""Those that may have reached so many percent; some that have not are among them, since the division is rounded."""
SPENT: Final = (
    select(budget_periods)
    .where(budget_periods.c.budget_id.in_(bindparam("budgets", expanding=True)))
    .order_by(budget_periods.c.budget_id, budget_periods.c.start)
)

DROP_PERIODS: Final = delete(budget_periods).where(
    budget_periods.c.budget_id.in_(bindparam("budgets", expanding=True))
)

_LEASE = insert(leases)
LEASE: Final = _LEASE.on_conflict_do_update(
    index_elements=["budget_id", "start", "chain"],
    set_={"amount": leases.c.amount + _LEASE.excluded["amount"]},
)
LOCK_LEASES: Final = (
    update(leases).where(leases.c.chain == bindparam("of_chain")).values(amount=leases.c.amount)
)
"""Changes nothing, and makes the transaction a writing one before it reads."""
LEASES: Final = (
    select(leases)
    .where(or_(bindparam("chain").is_(None), leases.c.chain == bindparam("chain")))
    .order_by(leases.c.chain, leases.c.budget_id, leases.c.start)
)
SET_LEASE: Final = update(leases).where(_ONE_LEASE).values(amount=bindparam("leased"))
END_LEASE: Final = delete(leases).where(_ONE_LEASE)

RECONCILED: Final = select(reconciled.c.cost).where(reconciled.c.call_id == bindparam("call"))
RECONCILE: Final = insert(reconciled).on_conflict_do_nothing()
