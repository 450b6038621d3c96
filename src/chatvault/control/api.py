"""The control plane's HTTP interface, put together."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chatvault.control.auth import Permit, everyone
from chatvault.control.edge import failed, headers_of, status_of
from chatvault.control.openapi import Described
from chatvault.core.errors import ChatVaultError, ClientError, NotFound
from chatvault.wire.openai.errors import error_body


def create_app(routers: Sequence[APIRouter], data_url: str, version: str) -> FastAPI:
    """`data_url` is where the data plane is, for those who ask here for what is there. Raises ValueError
    for a route without a policy."""
    app = Described(
        title="ChatVault control", version=version, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.policies = {}
    for router in routers:
        for route in router.routes:
            policy = policy_of(route)
            if policy is None or not isinstance(route, APIRoute):
                raise ValueError(f"the route {route} states no policy")
            app.policies |= {(route.path, method.lower()): policy for method in route.methods or ()}
        app.include_router(router)

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ChatVaultError)
        return _error(error)

    async def theirs(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, ChatVaultError):  # raised while the body was read
            return _error(error.__cause__)
        return _error(_translated(error, request, data_url), error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _error(_invalid(error))

    async def unforeseen(request: Request, error: Exception) -> Response:
        return _error(failed(request.scope["chatvault.request_id"]))

    app.add_exception_handler(Exception, unforeseen)
    app.add_exception_handler(ChatVaultError, ours)
    app.add_exception_handler(HTTPException, theirs)
    app.add_exception_handler(RequestValidationError, invalid)
    return app


def policy_of(route: object) -> str | None:
    """The permission a route needs; `everyone` for an open one; None for one that says nothing."""
    if not isinstance(route, APIRoute):
        return None
    for inner in route.dependant.dependencies:
        if isinstance(inner.call, Permit):
            return inner.call.permission
        if inner.call is everyone:
            return everyone.__name__
    return None


def _error(error: ChatVaultError, headers: object = None) -> Response:
    response = Response(error_body(error), status_code=status_of(error))
    for name, value in headers_of(error):
        response.headers[name.decode()] = value.decode()
    if isinstance(headers, dict):
        response.headers.update(headers)
    return response


def _translated(error: HTTPException, request: Request, data_url: str) -> ChatVaultError:
    path = request.url.path
    if error.status_code == 404:
        if path == "/v1" or path.startswith("/v1/"):
            return NotFound(
                f"This is the control plane. Models are called at {data_url}{path[:100]}.", code="wrong_port"
            )
        return NotFound(f"There is no {path[:100]} here; docs/api.md lists what there is.", code="not_found")
    if error.status_code == 405:
        return ClientError(
            f"{path[:100]} does not take {request.method}.", code="method_not_allowed", status=405
        )
    return ClientError(str(error.detail), code="invalid_request", status=error.status_code)


def _invalid(error: RequestValidationError) -> ClientError:
    """The first problem, and the field it is in."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    param = ".".join(place[1:]) or None
    if first["type"] == "json_invalid":
        return ClientError("The body is not JSON.", code="invalid_json")
    if param is None and place == ["body"]:  # nothing, a list, or an object that is not declared as JSON
        return ClientError(
            "The body must be a JSON object, sent with `content-type: application/json`.", code="invalid_json"
        )
    what = f"{param}: {first['msg']}" if param else str(first["msg"])
    return ClientError(f"The request is not valid: {what}.", code="invalid_request", param=param)
