"""The way in: from a request's head to a call that is opened, or answered here, or refused.

    begin -> (grant) -> authorized -> (body) -> body_read -> the door -> open

Each step goes on at once where nothing has to be waited for.
"""

from typing import TYPE_CHECKING

from chatvault.core.errors import ChatVaultError, GatewayError, token_in_query
from chatvault.gateway import door, hops, local
from chatvault.gateway.admission import Estimated, admit_json, admit_upload
from chatvault.gateway.intake import HeldBody
from chatvault.gateway.standing import Standing
from chatvault.gateway.upload import UploadedBody
from chatvault.wire.json_fields import Body

if TYPE_CHECKING:
    from chatvault.gateway.call import Call


def begin(call: "Call") -> None:
    """The head is in. Raises ChatVaultError."""
    endpoint = call.endpoint
    if call.heading.leaks:
        raise token_in_query()
    if endpoint is None:
        if call.head.method != b"OPTIONS":
            raise local.not_found(call)
        local.preflight(call)
        return
    if hops.FIELD in call.head.fields:
        hops.check(call.head, call.worker.grants.hop)
    if endpoint is local.HEALTH or endpoint is local.ROOT:
        local.answer_open(call, endpoint)
        return
    standing = call.worker.grants.find(call.heading, call)
    if standing is not None:
        _authorized(call, standing)


def granted(call: "Call", standing: Standing | None, error: ChatVaultError | None) -> None:
    """The look-up is answered; the connection has waited for it."""
    if call.stage != "begun" or call.connection.call is not call:
        return
    call.connection.resume_reading()
    with call.connection.border():
        if standing is None:
            raise error or GatewayError("The token could not be looked up.", code="internal_error")
        _authorized(call, standing)


def _authorized(call: "Call", standing: Standing) -> None:
    """The grant is there, at once or after a look-up."""
    endpoint, connection, heading = call.endpoint, call.connection, call.heading
    assert endpoint is not None
    call.standing, call.grant = standing, standing.grant
    standing.check(endpoint, connection.address, call.at)
    if endpoint.local and endpoint.body == "none":
        local.answer_local(call, endpoint)
        return
    if heading.body_kind(call.length) == "upload":
        call.upload = UploadedBody(call, upload_begins)
        connection.read_body(call.upload)
        return
    if heading.plain:
        body = connection.whole_body(call.worker.snapshot.server.max_body)
        if body is not None:
            call.worker.held += len(body)
            body_read(call, body, len(body))
            return
    connection.read_body(HeldBody(call, body_read))


def body_read(call: "Call", body: Body, held: int) -> None:
    """The whole body. `held` of its bytes are on the worker's account, and are taken off it with the call."""
    call.held = held
    if call.endpoint is not None and call.endpoint.local:
        local.answer_asked(call, body)
        return
    admitted = admit_json(call, body)
    if isinstance(admitted, Estimated):
        local.answer_estimate(call, admitted.tokens)
        return
    door.enter(call, admitted)


def upload_begins(call: "Call", model: str | None, span: tuple[int, int] | None, held: bytes) -> bytes:
    """The first part of an upload says where it goes; it comes back as it is to be sent."""
    admitted, rest = admit_upload(call, model, span, held)
    door.enter(call, admitted)
    return rest
