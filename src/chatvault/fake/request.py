"""One request as the routes see it."""

import hashlib
import json
from typing import TypeVar

import msgspec

from chatvault.fake.errors import Refusal
from chatvault.fake.multipart import Form, parse_form
from chatvault.fake.plan import Plan

T = TypeVar("T")
CREATED = 1_750_000_000
"""The time of every answer, in seconds since the epoch: the same request gets the same bytes."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request: method, path and query apart, headers by lower-case name, body, and how to answer."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""
    plan: Plan = Plan()

    def decode(self, shape: type[T]) -> T:
        """The JSON body as `shape`. Raises Refusal (400) that names the field."""
        try:
            return self._decode(shape)
        except msgspec.ValidationError as fault:
            message, _, where = str(fault).partition(" - at `$")
            param = where.rstrip("`").lstrip(".") or None
            raise Refusal(400, f"The request does not fit: {message}.", param=param) from fault
        except (ValueError, RecursionError) as fault:
            raise Refusal(400, f"The body is not JSON: {fault}.") from fault

    def _decode(self, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if b"\\ud" not in self.body.lower():
                raise
        # JSON may hold lone surrogates, which Unicode text may not: they become question marks.
        text = json.dumps(json.loads(self.body), ensure_ascii=False)
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=shape)

    def form(self) -> Form:
        """The multipart body. Raises Refusal (400)."""
        return parse_form(self.headers.get("content-type", ""), self.body)

    def digest(self) -> str:
        """40 hexadecimal digits that depend on the path and the body alone; ids are made of it."""
        return hashlib.sha1(self.path.encode() + b"\n" + self.body, usedforsecurity=False).hexdigest()
