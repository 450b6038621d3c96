"""Projects and users, in the vault: it implements `access.store.PeopleStore`."""

from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, and_, bindparam, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from chatvault.access.limits import Limits
from chatvault.access.people import Project, User
from chatvault.vault.database import Database
from chatvault.vault.schema import budgets, projects, provider_keys, tokens, users

_ADD_PROJECT: Final = insert(projects).on_conflict_do_nothing()
_GET_PROJECT: Final = select(projects).where(projects.c.id == bindparam("of"))
_PAGE_PROJECTS: Final = (
    select(projects)
    .where(projects.c.id > bindparam("after"))
    .order_by(projects.c.id)
    .limit(bindparam("limit"))
)
_CHANGE_PROJECT: Final = (
    update(projects)
    .where(projects.c.id == bindparam("of"))
    .values(name=bindparam("name"), active=bindparam("active"), limits=bindparam("limits"))
)
_DROP_PROJECT: Final = projects.delete().where(
    projects.c.id == bindparam("of"),
    *(
        ~exists().where(table.c.project_id == bindparam("of"))
        for table in (tokens, users, budgets, provider_keys)
    ),
)

_ADD_USER: Final = insert(users).on_conflict_do_nothing()
_ONE_USER: Final = and_(users.c.project_id == bindparam("of"), users.c.id == bindparam("user"))
_GET_USER: Final = select(users).where(_ONE_USER)
_PAGE_USERS: Final = (
    select(users)
    .where(
        or_(bindparam("project").is_(None), users.c.project_id == bindparam("project")),
        tuple_(users.c.project_id, users.c.id) > tuple_(bindparam("after_project"), bindparam("after")),
    )
    .order_by(users.c.project_id, users.c.id)
    .limit(bindparam("limit"))
)
_CHANGE_USER: Final = (
    update(users)
    .where(_ONE_USER)
    .values(name=bindparam("name"), active=bindparam("active"), limits=bindparam("limits"))
)
_COUNT_TOKENS: Final = (
    select(func.count())
    .select_from(tokens)
    .where(tokens.c.project_id == bindparam("of"), tokens.c.revoked_at.is_(None))
)


class People:
    """Every method raises VaultError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- projects

    async def add_project(self, project: Project) -> bool:
        """False: there is one of this id, and nothing was changed."""
        async with self._database.change() as connection:
            done = await connection.execute(_ADD_PROJECT, _project_values(project))
        return bool(done.rowcount)

    async def project(self, project_id: str) -> Project | None:
        async with self._database.read() as connection:
            row = (await connection.execute(_GET_PROJECT, {"of": project_id})).mappings().first()
        return None if row is None else _project(row)

    async def projects(self, limit: int, after: str = "") -> list[Project]:
        """In the order of their ids."""
        async with self._database.read() as connection:
            rows = await connection.execute(_PAGE_PROJECTS, {"limit": limit, "after": after})
            return [_project(row) for row in rows.mappings()]

    async def change_project(self, project: Project) -> None:
        """Keep its name, its limits, and whether it is active."""
        values = _project_values(project)
        changed = {name: values[name] for name in ("name", "active", "limits")}
        async with self._database.change() as connection:
            await connection.execute(_CHANGE_PROJECT, {"of": project.id, **changed})

    async def drop_project(self, project_id: str) -> bool:
        """False: tokens, users, budgets or keys are its own, and it stays."""
        async with self._database.change() as connection:
            done = await connection.execute(_DROP_PROJECT, {"of": project_id})
        return bool(done.rowcount)

    async def live_tokens(self, project_id: str) -> int:
        """How many of its tokens were not revoked."""
        async with self._database.read() as connection:
            return int((await connection.execute(_COUNT_TOKENS, {"of": project_id})).scalar_one())

    # --- users

    async def add_user(self, user: User) -> bool:
        """False: there is one of this id in the project, and nothing was changed."""
        async with self._database.change() as connection:
            done = await connection.execute(_ADD_USER, _user_values(user))
        return bool(done.rowcount)

    async def user(self, project_id: str, user_id: str) -> User | None:
        async with self._database.read() as connection:
            found = await connection.execute(_GET_USER, {"of": project_id, "user": user_id})
            row = found.mappings().first()
        return None if row is None else _user(row)

    async def users(
        self, limit: int, *, project: str | None = None, after: tuple[str, str] = ("", "")
    ) -> list[User]:
        """In the order of their projects' ids and their own."""
        values = {"limit": limit, "project": project, "after_project": after[0], "after": after[1]}
        async with self._database.read() as connection:
            return [_user(row) for row in (await connection.execute(_PAGE_USERS, values)).mappings()]

    async def change_user(self, user: User) -> None:
        """Keep its name, its limits, and whether it is active."""
        values = _user_values(user)
        changed = {name: values[name] for name in ("name", "active", "limits")}
        async with self._database.change() as connection:
            await connection.execute(_CHANGE_USER, {"of": user.project, "user": user.id, **changed})


def _project_values(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at,
        "active": project.active,
        "limits": None if project.limits is None else msgspec.to_builtins(project.limits),
    }


def _user_values(user: User) -> dict[str, Any]:
    return {
        "project_id": user.project,
        "id": user.id,
        "name": user.name,
        "created_at": user.created_at,
        "active": user.active,
        "limits": None if user.limits is None else msgspec.to_builtins(user.limits),
    }


def _project(row: RowMapping) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        active=bool(row["active"]),
        limits=_limits(row["limits"]),
    )


def _user(row: RowMapping) -> User:
    return User(
        project=row["project_id"],
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        active=bool(row["active"]),
        limits=_limits(row["limits"]),
    )


def _limits(value: object) -> Limits | None:
    return None if value is None else msgspec.convert(value, Limits)
