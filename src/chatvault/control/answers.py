"""Answers in JSON, exact: integers stay integers, whatever their size."""

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def answer(value: object, status: int = 200) -> Response:
    return Response(_encode(value), status_code=status, media_type="application/json")
