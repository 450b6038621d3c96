"""`/manage/limits`: how full the windows of limits are now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from chatvault.access.limits import Scope
from chatvault.access.reading import Reading
from chatvault.control.answers import answer
from chatvault.control.auth import Gate, Permit
from chatvault.control.feed_server import FeedServer


def limits_router(feed: FeedServer, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/manage/limits", tags=["limits"])

    @router.get("", dependencies=[Depends(Permit(gate, "limits:read"))])
    async def show(
        scope: Scope | None = None,
        subject: Annotated[str | None, Query(max_length=512)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> Response:
        """Every window that counts something, or was lately asked, the fullest first."""
        shown = await feed.show_limits(scope, subject)
        rows = shown.rows()
        return answer(
            {
                "data": [shown_window(row) for row in rows[:limit]],
                "more": shown.more + max(len(rows) - limit, 0),
                "missing_workers": sorted(shown.missing),
            }
        )

    return router


def shown_window(row: Reading) -> dict[str, object]:
    """A window as the API shows it."""
    return {
        "scope": row.scope,
        "subject": row.subject,
        "limit": row.limit,
        "most": row.most,
        "used": row.used,
        "left": max(row.most - row.used, 0),
        "frees_in": round(row.frees, 3),
        "reset_in": round(row.reset, 3),
        "shadow": row.shadow,
        "running": row.running,
    }
