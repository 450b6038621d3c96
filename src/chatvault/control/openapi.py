"""`/openapi.json`: the control API as OpenAPI describes it, for whoever makes clients of it."""

from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from chatvault.control.answers import answer
from chatvault.control.auth import Gate, Permit

_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "additionalProperties": False,
            "properties": {"message": _TEXT, "type": _TEXT, "code": _TEXT, "param": _TEXT_OR_NULL},
        }
    },
    "example": {
        "error": {
            "message": "name: Field required.",
            "type": "invalid_request_error",
            "code": "invalid_request",
            "param": "name",
        }
    },
}
_FAILED: Final = {
    "description": "An error; docs/errors.md lists its codes.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_LATE: Final = "Done; the workers in `unacknowledged` are yet to acknowledge it."
_OBJECT: Final = {"application/json": {"schema": {"type": "object"}}}
_OPEN: Final = "everyone"

Policies = dict[tuple[str, str], str]
"""By path and method (in lower case): the permission that a route needs, or `everyone`."""


class Described(FastAPI):
    """The application; it describes what the framework cannot see: errors, credentials, policies."""

    policies: Policies

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            found = get_openapi(title=self.title, version=self.version, routes=self.routes)
            described(found, self.policies)
            self.openapi_schema = found
        return self.openapi_schema


def described(found: dict[str, Any], policies: Policies) -> None:
    """Complete a description in its place."""
    parts = found["components"]
    for name in ("HTTPValidationError", "ValidationError"):  # what is not valid is told as all errors are
        parts["schemas"].pop(name, None)
    parts["schemas"]["Error"] = _ERROR
    parts["securitySchemes"] = {"management": {"type": "http", "scheme": "bearer"}}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            answers.pop("422", None)
            for status, said in answers.items():
                if status != "204":
                    said["content"] = _OBJECT
            if method in ("patch", "delete") or (method == "post" and "200" in answers):
                answers["202"] = {"description": _LATE, "content": _OBJECT}
            answers["4XX"] = answers["5XX"] = _FAILED
            policy = policies[path, method]
            if policy != _OPEN:
                operation["security"] = [{"management": []}]
                operation["x-permission"] = policy


def openapi_router(gate: Gate) -> APIRouter:
    router = APIRouter(tags=["description"])

    @router.get("/openapi.json", dependencies=[Depends(Permit(gate, "health:read"))])
    async def description(request: Request) -> Response:
        """All of this API, as OpenAPI describes it."""
        return answer(request.app.openapi())

    return router
