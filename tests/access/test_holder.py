"""From what is kept of a token, and of those around it, to its grant."""

import msgspec

from chatvault.access.budget import Budget
from chatvault.access.grant import Bounds
from chatvault.access.holder import Holder
from chatvault.access.limits import Limited, Limits
from chatvault.access.token import Token

PLAIN = Token(id="tok_1", name="a laptop", project="p", user="ada", created_at=1)
PARENT = Token(
    id="tok_0",
    name="n",
    created_at=1,
    expires_at=50,
    models=("gpt-*",),
    max_requests=9,
    limits=Limits(concurrent=3),
)


def test_a_token_alone_gives_its_grant() -> None:
    token = msgspec.structs.replace(
        PLAIN, expires_at=2, models=("a",), endpoints=("chat.*",), networks=("10.0.0.0/8",), idle=7
    )
    grant = Holder(token=token).grant()
    assert (grant.token, grant.project, grant.user, grant.name) == ("tok_1", "p", "ada", "a laptop")
    assert (grant.expires_at, grant.models, grant.endpoints) == (2, ("a",), ("chat.*",))
    assert (grant.networks, grant.idle, grant.limits, grant.budgets) == (("10.0.0.0/8",), 7, (), ())
    assert Holder(token=PLAIN).grant().models is None


def test_all_that_count_its_calls_are_named() -> None:
    token = msgspec.structs.replace(PLAIN, limits=Limits(requests_per_hour=5), max_requests=2)
    paying = Budget(id="bud_1", scope="project", subject="p", amount=1)
    holder = Holder(
        token=token,
        parents=(PARENT,),
        user_limits=Limits(tokens_per_day=1),
        project_limits=Limits(requests_per_day=1),
        budgets=(paying,),
    )
    grant = holder.grant()
    assert grant.limits == (
        Limited("token", "tok_1", Limits(requests_per_hour=5)),
        Limited("token", "tok_0", Limits(concurrent=3)),
        Limited("user", "p/ada", Limits(tokens_per_day=1)),
        Limited("project", "p", Limits(requests_per_day=1)),
    )
    assert grant.budgets == (
        paying,
        Budget(id="tok_1/requests", scope="token", subject="tok_1", amount=2, unit="requests"),
        Budget(id="tok_0/requests", scope="token", subject="tok_0", amount=9, unit="requests"),
    )
    assert holder.subjects() == [("token", "tok_1"), ("token", "tok_0"), ("user", "p/ada"), ("project", "p")]


def test_it_ends_with_its_parents_and_with_the_grace_of_its_former_secret() -> None:
    assert Holder(token=PLAIN, parents=(PARENT,)).grant().expires_at == 50
    late = msgspec.structs.replace(PLAIN, expires_at=99)
    assert Holder(token=late, parents=(PARENT,), until=40).grant().expires_at == 40
    assert Holder(token=PLAIN, parents=(PARENT,)).grant().within == (Bounds(models=("gpt-*",)),)
    assert Holder(token=PLAIN).grant().expires_at is None


def test_it_is_revoked_with_any_of_those_it_stands_on() -> None:
    gone = msgspec.structs.replace(PARENT, revoked_at=5)
    assert not Holder(token=PLAIN, parents=(PARENT,)).revoked
    assert Holder(token=PLAIN, parents=(PARENT, gone)).revoked
    assert Holder(token=msgspec.structs.replace(PLAIN, revoked_at=5)).revoked
    assert Holder(token=PLAIN, active=False).revoked
