"""`/manage/projects`: whose tokens, users, budgets and keys they are."""

from typing import Annotated, Protocol

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from chatvault.access.grant import Whose
from chatvault.access.people import Project
from chatvault.access.store import PeopleStore
from chatvault.access.token import DEFAULT_PROJECT
from chatvault.control.answers import answer
from chatvault.control.auth import Caller, Gate, Permit
from chatvault.control.feed_server import FeedServer
from chatvault.control.forms import Form, Identifier, LimitsForm, Name, limits_of, shown_limits
from chatvault.control.ports import Journal, Recorded
from chatvault.core.clock import iso, now_us
from chatvault.core.errors import ClientError, NotFound


class NewProject(Form):
    """What `POST /manage/projects` takes."""

    project_id: Identifier
    name: Name | None = None
    """The id, where it is left out."""
    limits: LimitsForm | None = None


class ChangedProject(Form):
    """What `PATCH /manage/projects/{project_id}` takes: what is to change. `limits: null` takes them away."""

    name: Name | None = None
    active: bool | None = None
    limits: LimitsForm | None = None


class Records(Protocol):
    """Whether calls of a project are on record."""

    async def any_of(self, project: str) -> bool: ...


class Projects:
    """What can be done with projects. Methods raise ClientError, JournalError, OperatorError."""

    def __init__(self, store: PeopleStore, feed: FeedServer, journal: Journal, records: Records) -> None:
        self._store = store
        self._feed = feed
        self._journal = journal
        self._records = records

    async def create(self, who: str, wanted: NewProject) -> Project:
        project = Project(
            id=wanted.project_id,
            name=wanted.name or wanted.project_id,
            created_at=now_us(),
            limits=limits_of(wanted.limits),
        )
        if await self._store.project(project.id) is not None:
            raise _there_already(project.id)
        with Recorded(self._journal, who, "project.create", project.id, after=_recorded(project)):
            if not await self._store.add_project(project):
                raise _there_already(project.id)
        return project

    async def get(self, project_id: str) -> Project:
        """Raises NotFound."""
        project = await self._store.project(project_id)
        if project is None:
            raise NotFound(
                f"There is no project {project_id[:64]!r}.", code="project_not_found", param="project_id"
            )
        return project

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Project], str | None]:
        found = await self._store.projects(limit + 1, cursor or "")
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].id)

    async def change(self, who: str, project_id: str, wanted: ChangedProject) -> tuple[Project, list[int]]:
        """The project as it is now, and the workers that have not acknowledged it in time."""
        before = await self.get(project_id)
        named = wanted.named()
        after = msgspec.structs.replace(
            before,
            name=wanted.name or before.name,
            active=before.active if wanted.active is None else wanted.active,
            limits=limits_of(wanted.limits) if "limits" in named else before.limits,
        )
        if after == before:
            return before, []
        with Recorded(self._journal, who, "project.change", project_id, _recorded(before), _recorded(after)):
            await self._store.change_project(after)
        whose = Whose(projects=(project_id,))
        if before.active and not after.active:
            return after, await self._feed.revoke(whose)
        return after, await self._feed.forget(whose)

    async def drop(self, who: str, project_id: str) -> None:
        """Raises ClientError (409) for a project that something refers to."""
        before = await self.get(project_id)
        if project_id == DEFAULT_PROJECT or await self._records.any_of(project_id):
            raise _in_use(project_id)
        with Recorded(self._journal, who, "project.delete", project_id, before=_recorded(before)):
            if not await self._store.drop_project(project_id):
                raise _in_use(project_id)


def projects_router(projects: Projects, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/projects", tags=["projects"])
    read, write = Permit(gate, "projects:read"), Permit(gate, "projects:write")
    Writer = Annotated[Caller, Depends(write)]

    @router.post("", status_code=201)
    async def create(caller: Writer, wanted: NewProject) -> Response:
        """Make a project."""
        return answer(shown(await projects.create(caller.who, wanted)), 201)

    @router.get("", dependencies=[Depends(read)])
    async def page(limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None) -> Response:
        """All projects, in the order of their ids."""
        found, following = await projects.page(limit, cursor)
        return answer({"data": [shown(project) for project in found], "cursor": following})

    @router.get("/{project_id}", dependencies=[Depends(read)])
    async def get(project_id: str) -> Response:
        """One project."""
        return answer(shown(await projects.get(project_id)))

    @router.patch("/{project_id}")
    async def change(caller: Writer, project_id: str, wanted: ChangedProject) -> Response:
        """Change its name or its limits, or switch it off and on. Answers when every worker has acknowledged it."""
        project, missing = await projects.change(caller.who, project_id, wanted)
        return answer({**shown(project), "unacknowledged": missing}, 202 if missing else 200)

    @router.delete("/{project_id}", status_code=204)
    async def drop(caller: Writer, project_id: str) -> Response:
        """Remove a project that nothing refers to. One that is in use can only be switched off."""
        await projects.drop(caller.who, project_id)
        return Response(status_code=204)

    return router


def shown(project: Project) -> dict[str, object]:
    """A project as the API shows it."""
    return {
        "project_id": project.id,
        "name": project.name,
        "created_at": iso(project.created_at),
        "active": project.active,
        "limits": shown_limits(project.limits),
    }


def _recorded(project: Project) -> dict[str, object]:
    """Without its name: a chained line cannot be erased."""
    return {"active": project.active, "limits": shown_limits(project.limits)}


def _there_already(project_id: str) -> ClientError:
    return ClientError(
        f"There is a project {project_id!r} already.", code="project_exists", param="project_id", status=409
    )


def _in_use(project_id: str) -> ClientError:
    return ClientError(
        f"The project {project_id!r} is referred to: by tokens, users, budgets, keys or calls on record. Switch it off "
        'instead: PATCH it with {"active": false}.',
        code="project_in_use",
        param="project_id",
        status=409,
    )
