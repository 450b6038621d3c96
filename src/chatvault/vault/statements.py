"""Every statement the vault runs, by name. Values come by parameters only."""

from typing import Final

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from chatvault.vault.schema import meta, projects, tokens, users

_COLUMNS = [column for column in tokens.columns if column.name != "digest"]
_NEWEST = (tokens.c.created_at.desc(), tokens.c.id.desc())

ADD_PROJECT: Final = insert(projects).on_conflict_do_nothing()
ADD_USER: Final = insert(users).on_conflict_do_nothing()
ADD_TOKEN: Final = insert(tokens)

FIND_TOKENS: Final = (
    select(tokens, projects.c.active)
    .join(projects, projects.c.id == tokens.c.project_id)
    .where(
        tokens.c.digest.in_(bindparam("digests", expanding=True)),
        tokens.c.kind == bindparam("kind"),
    )
)
GET_TOKEN: Final = select(*_COLUMNS).where(tokens.c.id == bindparam("id"))
NEWEST_TOKENS: Final = select(*_COLUMNS).order_by(*_NEWEST).limit(bindparam("limit"))
OLDER_TOKENS: Final = NEWEST_TOKENS.where(
    tuple_(tokens.c.created_at, tokens.c.id) < tuple_(bindparam("created_at"), bindparam("before"))
)
COUNT_TOKENS: Final = select(func.count()).select_from(tokens).where(tokens.c.kind == bindparam("kind"))
REVOKE_TOKEN: Final = (
    update(tokens)
    .where(tokens.c.id == bindparam("token"), tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
REVOKED_SINCE: Final = (
    select(tokens.c.id).where(tokens.c.revoked_at >= bindparam("at")).order_by(tokens.c.revoked_at)
)

GET_META: Final = select(meta.c.value).where(meta.c.key == bindparam("key"))
_SET_META = insert(meta)
SET_META: Final = _SET_META.on_conflict_do_update(
    index_elements=["key"], set_={"value": _SET_META.excluded["value"]}
)
