"""Which calls a question is about."""

import msgspec
from sqlalchemy import ColumnElement

from chatvault.ledger.schema import usage_logs


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """All that is given must hold. Times are microseconds since the epoch, of the calls' beginnings;
    `until_us` is exclusive."""

    token: str | None = None
    model: str | None = None
    provider: str | None = None
    project: str | None = None
    user: str | None = None
    state: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        columns = usage_logs.c
        equal = (
            (columns.token_id, self.token),
            (columns.model_name, self.model),
            (columns.provider, self.provider),
            (columns.project_id, self.project),
            (columns.user_id, self.user),
            (columns.state, self.state),
        )
        found = [column == value for column, value in equal if value is not None]
        if self.since_us is not None:
            found.append(columns.timestamp >= self.since_us)
        if self.until_us is not None:
            found.append(columns.timestamp < self.until_us)
        return found
