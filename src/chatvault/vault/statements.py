"""Every statement the vault runs, by name. Values come by parameters only."""

from typing import Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from chatvault.vault.schema import former_digests, meta, projects, tokens, users

_STATE = case(
    (tokens.c.revoked_at.is_not(None), "revoked"),
    (tokens.c.expires_at <= bindparam("moment"), "expired"),
    else_="active",
)
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
_HOLDERS = (
    select(
        tokens,
        and_(projects.c.active, func.coalesce(users.c.active, True)).label("active"),
        users.c.limits.label("user_limits"),
        projects.c.limits.label("project_limits"),
    )
    .join(projects, projects.c.id == tokens.c.project_id)
    .outerjoin(users, and_(users.c.project_id == tokens.c.project_id, users.c.id == tokens.c.user_id))
    .where(tokens.c.kind == "client")
)
HOLDERS: Final = _HOLDERS.where(tokens.c.digest.in_(bindparam("digests", expanding=True)))
FORMER_HOLDERS: Final = (
    _HOLDERS.add_columns(former_digests.c.digest.label("former"), former_digests.c.until)
    .join(former_digests, former_digests.c.token_id == tokens.c.id)
    .where(former_digests.c.digest.in_(bindparam("digests", expanding=True)))
)
HOLDER: Final = _HOLDERS.where(tokens.c.id == bindparam("token"))
_up = (
    select(tokens.c.id.label("child"), tokens.c.parent_id.label("ancestor"), literal(1).label("depth"))
    .where(tokens.c.id.in_(bindparam("ids", expanding=True)), tokens.c.parent_id.is_not(None))
    .cte("line", recursive=True)
)
_line = _up.union_all(
    select(_up.c.child, tokens.c.parent_id, _up.c.depth + 1)
    .join(tokens, tokens.c.id == _up.c.ancestor)
    .where(tokens.c.parent_id.is_not(None), _up.c.depth < bindparam("deepest"))
)
PARENTS: Final = (
    select(_line.c.child, *_COLUMNS)
    .join(tokens, tokens.c.id == _line.c.ancestor)
    .order_by(_line.c.child, _line.c.depth)
)
"""The tokens that minted these, all the way up, the nearest first."""
_LIVE = and_(
    tokens.c.revoked_at.is_(None), or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > bindparam("at"))
)


def _all_below(*conditions: ColumnElement[bool]) -> CTE:
    """The tokens that each of some (`tops`) has minted, itself or through others."""
    first = (
        select(tokens.c.parent_id.label("top"), tokens.c.id, tokens.c.created_at)
        .where(tokens.c.parent_id.in_(bindparam("tops", expanding=True)), *conditions)
        .cte("below", recursive=True)
    )
    return first.union_all(
        select(first.c.top, tokens.c.id, tokens.c.created_at)
        .join(first, tokens.c.parent_id == first.c.id)
        .where(*conditions)
    )


BELOW: Final = select(_all_below())
LIVE_BELOW: Final = select(func.count()).select_from(
    select(_all_below(_LIVE).c.id).limit(bindparam("most")).subquery()
)
_down = (
    select(tokens.c.parent_id.label("ancestor"), tokens.c.id.label("child"), literal(1).label("depth"))
    .where(tokens.c.parent_id.in_(bindparam("ids", expanding=True)))
    .cte("minted", recursive=True)
)
_all_down = _down.union_all(
    select(_down.c.ancestor, tokens.c.id, _down.c.depth + 1)
    .join(tokens, tokens.c.parent_id == _down.c.child)
    .where(_down.c.depth < bindparam("deepest"))
)
MINTED: Final = select(_all_down.c.ancestor, _all_down.c.child)
"""The tokens that these minted, all the way down."""
GET_TOKEN: Final = select(*_COLUMNS).where(tokens.c.id == bindparam("id"))
_WHICH = tuple(
    or_(bindparam(f"which_{name}").is_(None), condition)
    for name, condition in (
        ("project", tokens.c.project_id == bindparam("which_project")),
        ("user", tokens.c.user_id == bindparam("which_user")),
        ("parent", tokens.c.parent_id == bindparam("which_parent")),
        ("kind", tokens.c.kind == bindparam("which_kind")),
        (
            "tag",
            exists().where(
                func.json_each(tokens.c.tags).table_valued("value").c.value == bindparam("which_tag")
            ),
        ),
        ("state", bindparam("which_state") == _STATE),
    )
)
NEWEST_TOKENS: Final = select(*_COLUMNS).where(*_WHICH).order_by(*_NEWEST).limit(bindparam("limit"))
OLDER_TOKENS: Final = NEWEST_TOKENS.where(
    tuple_(tokens.c.created_at, tokens.c.id) < tuple_(bindparam("created_at"), bindparam("before"))
)
COUNT_TOKENS: Final = select(func.count()).select_from(tokens).where(tokens.c.kind == bindparam("kind"))
REVOKE_TOKEN: Final = (
    update(tokens)
    .where(tokens.c.id == bindparam("token"), tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
CHANGE_TOKEN: Final = (
    update(tokens)
    .where(tokens.c.id == bindparam("token"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "name",
                "expires_at",
                "models",
                "endpoints",
                "networks",
                "idle_us",
                "max_requests",
                "limits",
                "tags",
                "metadata",
            )
        }
    )
)
KEEP_FORMER: Final = insert(former_digests).from_select(
    ["digest", "token_id", "until"],
    select(tokens.c.digest, tokens.c.id, bindparam("until", type_=BigInteger)).where(
        tokens.c.id == bindparam("token")
    ),
)
DROP_FORMER: Final = delete(former_digests).where(former_digests.c.token_id == bindparam("token"))
SET_DIGEST: Final = (
    update(tokens).where(tokens.c.id == bindparam("token")).values(digest=bindparam("new_digest"))
)
REVOKE_ALL: Final = (
    update(tokens)
    .where(*_WHICH, tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("revoked"))
    .returning(tokens.c.id)
)
DROP_PAST_FORMER: Final = delete(former_digests).where(former_digests.c.until < bindparam("before"))
EXPIRED: Final = (
    select(tokens.c.id)
    .where(tokens.c.expires_at < bindparam("before"))
    .order_by(tokens.c.expires_at)
    .limit(bindparam("limit"))
)
_EXPIRED_OF = and_(
    tokens.c.id.in_(bindparam("ids", expanding=True)), tokens.c.expires_at < bindparam("before")
)
DROP_FORMER_OF: Final = delete(former_digests).where(
    former_digests.c.token_id.in_(select(tokens.c.id).where(_EXPIRED_OF))
)
DROP_TOKENS: Final = delete(tokens).where(_EXPIRED_OF).returning(tokens.c.id)
INACTIVE_PROJECTS: Final = select(projects.c.id).where(~projects.c.active).order_by(projects.c.id)
INACTIVE_USERS: Final = (
    select(users.c.project_id, users.c.id).where(~users.c.active).order_by(users.c.project_id, users.c.id)
)
REVOKED_SINCE: Final = (
    select(tokens.c.id).where(tokens.c.revoked_at >= bindparam("at")).order_by(tokens.c.revoked_at)
)

GET_META: Final = select(meta.c.value).where(meta.c.key == bindparam("key"))
_SET_META = insert(meta)
SET_META: Final = _SET_META.on_conflict_do_update(
    index_elements=["key"], set_={"value": _SET_META.excluded["value"]}
)
