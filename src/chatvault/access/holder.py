"""Who holds a token, and all that decides what it may do: from what is kept to a grant."""

import msgspec

from chatvault.access.budget import REQUESTS, Budget
from chatvault.access.grant import Bounds, Grant
from chatvault.access.limits import Limited, Limits, Scope
from chatvault.access.token import Token

Subject = tuple[Scope, str]
"""Whose a limit or a budget is: a scope, and a subject as in `Limited`."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A token with all that decides what it may do. `active` is False where its project or its user is switched off.
    `parents` are those it was minted by, the nearest first. `until`: the secret it was found by is a former one, and
    holds no longer."""

    token: Token
    active: bool = True
    parents: tuple[Token, ...] = ()
    user_limits: Limits | None = None
    project_limits: Limits | None = None
    budgets: tuple[Budget, ...] = ()
    until: int | None = None

    @property
    def revoked(self) -> bool:
        return not self.active or any(each.revoked_at is not None for each in (self.token, *self.parents))

    def grant(self) -> Grant:
        """What the token may do, as long as it is not revoked."""
        token, line = self.token, (self.token, *self.parents)
        ends = [each.expires_at for each in line if each.expires_at is not None]
        if self.until is not None:
            ends.append(self.until)
        counted = [
            Budget(
                id=f"{each.id}/{REQUESTS}",
                scope="token",
                subject=each.id,
                amount=each.max_requests,
                unit="requests",
            )
            for each in line
            if each.max_requests is not None
        ]
        return Grant(
            token=token.id,
            project=token.project,
            user=token.user,
            name=token.name,
            expires_at=min(ends, default=None),
            models=token.models,
            endpoints=token.endpoints,
            networks=token.networks,
            parents=tuple(each.id for each in self.parents),
            within=tuple(Bounds(each.models, each.endpoints, each.networks) for each in self.parents),
            idle=min((each.idle for each in line if each.idle is not None), default=None),
            limits=self._limits(line),
            budgets=(*self.budgets, *counted),
        )

    def _limits(self, line: tuple[Token, ...]) -> tuple[Limited, ...]:
        token = self.token
        limits = [Limited("token", each.id, each.limits) for each in line if each.limits is not None]
        if token.user is not None and self.user_limits is not None:
            limits.append(Limited("user", user_subject(token.project, token.user), self.user_limits))
        if self.project_limits is not None:
            limits.append(Limited("project", token.project, self.project_limits))
        return tuple(limits)

    def subjects(self) -> list[Subject]:
        """Whose budgets have to pay."""
        token = self.token
        found: list[Subject] = [("token", each.id) for each in (token, *self.parents)]
        if token.user is not None:
            found.append(("user", user_subject(token.project, token.user)))
        return [*found, ("project", token.project)]


def user_subject(project: str, user: str) -> str:
    """A user is one of a project."""
    return f"{project}/{user}"
