"""`/manage/users`: named owners of tokens, each within a project."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from chatvault.access.grant import Whose
from chatvault.access.holder import user_subject
from chatvault.access.people import User
from chatvault.access.store import PeopleStore
from chatvault.access.token import DEFAULT_PROJECT
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.forms import Form, Identifier, LimitsForm, Name, limits_of, shown_limits
from chatvault.control.ports import Journal, Recorded
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ClientError, NotFound


class NewUser(Form):
    """What `POST /manage/users` takes."""

    user_id: Identifier
    project_id: Identifier = DEFAULT_PROJECT
    name: Name | None = None
    """The id, where it is left out."""
    limits: LimitsForm | None = None


class ChangedUser(Form):
    """What `PATCH /manage/users/{user_id}` takes: what is to change. `limits: null` takes them away."""

    name: Name | None = None
    active: bool | None = None
    limits: LimitsForm | None = None


class Users:
    """What can be done with users. Methods raise ClientError, JournalError, OperatorError."""

    def __init__(self, store: PeopleStore, feed: FeedServer, journal: Journal) -> None:
        self._store = store
        self._feed = feed
        self._journal = journal

    async def create(self, who: str, wanted: NewUser) -> User:
        user = User(
            project=wanted.project_id,
            id=wanted.user_id,
            name=wanted.name or wanted.user_id,
            created_at=now_us(),
            limits=limits_of(wanted.limits),
        )
        if await self._store.project(user.project) is None:
            raise NotFound(
                f"There is no project {user.project!r}.", code="project_not_found", param="project_id"
            )
        if await self._store.user(user.project, user.id) is not None:
            raise _there_already(user)
        with Recorded(self._journal, who, "user.create", _subject(user), after=_recorded(user)):
            if not await self._store.add_user(user):
                raise _there_already(user)
        return user

    async def get(self, project_id: str, user_id: str) -> User:
        """Raises NotFound."""
        user = await self._store.user(project_id, user_id)
        if user is None:
            raise NotFound(
                f"There is no user {user_id[:64]!r} in the project {project_id[:64]!r}.",
                code="user_not_found",
                param="user_id",
            )
        return user

    async def page(
        self, limit: int, project: str | None, cursor: str | None
    ) -> tuple[list[User], str | None]:
        after_project, _, after = (cursor or "").partition("/")
        found = await self._store.users(limit + 1, project=project, after=(after_project, after))
        return (found, None) if len(found) <= limit else (found[:limit], _subject(found[limit - 1]))

    async def change(
        self, who: str, project_id: str, user_id: str, wanted: ChangedUser
    ) -> tuple[User, list[int]]:
        """The user as it is now, and the workers that have not acknowledged it in time."""
        before = await self.get(project_id, user_id)
        after = msgspec.structs.replace(
            before,
            name=wanted.name or before.name,
            active=before.active if wanted.active is None else wanted.active,
            limits=limits_of(wanted.limits) if "limits" in wanted.named() else before.limits,
        )
        if after == before:
            return before, []
        subject = _subject(before)
        with Recorded(self._journal, who, "user.change", subject, _recorded(before), _recorded(after)):
            await self._store.change_user(after)
        whose = Whose(users=(subject,))
        if before.active and not after.active:
            return after, await self._feed.revoke(whose)
        return after, await self._feed.forget(whose)


def users_router(users: Users, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/users", tags=["users"])
    read, write = Permit(gate, "users:read"), Permit(gate, "users:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def create(caller: Writer, wanted: NewUser) -> Response:
        """Make a user of a project."""
        return answer(shown(await users.create(caller.who, wanted)), 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(
        project_id: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: str | None = None,
    ) -> Response:
        """Users, in the order of their projects and ids."""
        found, following = await users.page(limit, project_id, cursor)
        return answer({"data": [shown(user) for user in found], "cursor": following})

    @router.get("/{user_id}", dependencies=[Depends(read)])
    async def get(user_id: str, project_id: str = DEFAULT_PROJECT) -> Response:
        """One user."""
        return answer(shown(await users.get(project_id, user_id)))

    @router.patch("/{user_id}")
    async def change(
        caller: Writer, user_id: str, wanted: ChangedUser, project_id: str = DEFAULT_PROJECT
    ) -> Response:
        """Change a user's name or limits, or switch all its tokens off and on. Answers when every worker has
        acknowledged it."""
        user, missing = await users.change(caller.who, project_id, user_id, wanted)
        return answer({**shown(user), "unacknowledged": missing}, 202 if missing else 200)

    return router


def shown(user: User) -> dict[str, object]:
    """A user as the API shows it."""
    return {
        "user_id": user.id,
        "project_id": user.project,
        "name": user.name,
        "created_at": iso(user.created_at),
        "active": user.active,
        "limits": shown_limits(user.limits),
    }


def _subject(user: User) -> str:
    return user_subject(user.project, user.id)


def _recorded(user: User) -> dict[str, object]:
    """Without its name: a chained line cannot be erased."""
    return {"active": user.active, "limits": shown_limits(user.limits)}


def _there_already(user: User) -> ClientError:
    return ClientError(
        f"There is a user {user.id!r} in the project {user.project!r} already.",
        code="user_exists",
        param="user_id",
        status=409,
    )
