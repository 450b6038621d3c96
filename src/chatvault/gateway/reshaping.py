"""A body that is in the dialect already, but for what another home of its API has in it: on Vertex AI, Anthropic's
messages have their version in the body, and the model in the path.

Which version a client speaks is its own choice, and changes what fields mean: it goes where the other home has it.
https://platform.claude.com/docs/en/api/versioning (2026-11): 2026-10-21 holds on Google's cloud as on Anthropic's.
"""

import re
from typing import Final

import msgspec

from chatvault.config.snapshot import Face
from chatvault.gateway.routes import Endpoint
from chatvault.wire.http_head import RequestHead
from chatvault.wire.json_fields import Fields, scan

VERSION: Final = b"anthropic-version"
_VERSION: Final = "anthropic_version"
_FIRST: Final = b"2023-06-01"
"""The version that other homes have by a name of their own."""
_ONLY: Final = frozenset(("bedrock-2023-05-31",))
"""Of homes that have one version."""
_DATE: Final = re.compile(rb"20\d\d-\d\d-\d\d")
_NOTHING: Final = frozenset[str]()


def reshape(
    face: Face | None,
    endpoint: Endpoint,
    fields: Fields,
    changes: dict[str, bytes],
    *,
    target: str | None,
    head: RequestHead | None,
) -> tuple[str, ...]:
    """The names of the fields that the provider must not be sent; what it must be sent goes into `changes`. `target`
    is the model's name there, `head` the client's, None where the request was translated."""
    drops, sets = (face.drops, face.sets) if face is not None else ((), {})
    if face is not None and head is not None:
        _moved(face, head, fields, changes)
    if not (drops or sets or endpoint.path):
        return ()
    without = drops if endpoint.conversation else ()
    for name in without:
        changes.pop(name, None)
    for name, value in sets.items():
        if name not in fields.values:
            said = head.fields.get(VERSION, b"") if head is not None and name == _VERSION else b""
            dated = _DATE.fullmatch(said) is not None and said != _FIRST and value not in _ONLY
            changes[name] = b'"%s"' % said if dated else msgspec.json.encode(value)
    if head is not None and endpoint.path:  # asked as on Vertex AI
        if endpoint.in_path and "model" not in without:
            changes["model"] = msgspec.json.encode(target)
        if _VERSION not in sets:
            without += (_VERSION,)
    return without


def _moved(face: Face, head: RequestHead, fields: Fields, changes: dict[str, bytes]) -> None:
    """What stands in the head elsewhere, and in the body here; the client may have put it there itself."""
    for field, name in face.moves.items():
        said = head.fields.get(field.encode())
        if said is not None and name not in fields.values:
            names = [each.strip() for each in said.decode("latin-1").split(",")]
            changes[name] = msgspec.json.encode([each for each in names if each])


def reshaped(face: Face | None, endpoint: Endpoint, body: bytes) -> bytes | list[bytes | memoryview]:
    """A translated body, as the provider takes it."""
    if face is None or not (face.sets or face.drops):
        return body
    fields, changes = scan(body, _NOTHING), dict[str, bytes]()
    return fields.patched(changes, reshape(face, endpoint, fields, changes, target=None, head=None))


def version_said(endpoint: Endpoint, fields: Fields) -> bytes | None:
    """The version that a client of Vertex AI names in its body, for where it stands in the head. None: it names none,
    or the one that is asked for anyway."""
    raw = fields.values.get(_VERSION) if endpoint.path else None
    said = bytes(raw)[1:-1] if raw is not None else b""
    return said if _DATE.fullmatch(said) else None
