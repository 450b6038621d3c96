"""Every statement about events, by name. Values come by parameters only."""

from typing import Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from chatvault.vault.schema import events

_ONE = events.c.id == bindparam("event")
_BY_ID = func.length(events.c.id), events.c.id
"""So that of one budget and period 80 percent come before 100."""

ADD: Final = insert(events).values(tries=0).on_conflict_do_nothing()
UNRECORDED: Final = select(events).where(events.c.recorded_at.is_(None)).order_by(events.c.at, *_BY_ID)
RECORDED: Final = (
    update(events)
    .where(events.c.id.in_(bindparam("ids", expanding=True)))
    .values(recorded_at=bindparam("recorded"))
)
DUE: Final = (
    select(events)
    .where(events.c.next_at <= bindparam("now"), events.c.recorded_at.is_not(None))
    .order_by(events.c.next_at, *_BY_ID)
    .limit(bindparam("limit"))
)
NEXT: Final = select(func.min(events.c.next_at)).where(
    events.c.next_at.is_not(None), events.c.recorded_at.is_not(None)
)
SENT: Final = update(events).where(_ONE).values(sent_at=bindparam("sent"), next_at=None)
NOT_SENT: Final = update(events).where(_ONE).values(tries=bindparam("failed"), next_at=bindparam("again"))
WAITING: Final = select(func.count(), func.min(events.c.at)).where(events.c.next_at.is_not(None))
GIVEN_UP: Final = select(func.count()).where(
    events.c.next_at.is_(None), events.c.tries > 0, events.c.sent_at.is_(None)
)
LAST_SENT: Final = select(func.max(events.c.sent_at))
