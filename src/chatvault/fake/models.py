"""`GET /v1/models` and `GET /v1/models/{id}`."""

import re

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.errors import Refusal
from chatvault.fake.request import CREATED, Request

MODELS = (
    "echo",
    "reasoner",
    "scripted",
    "simulated",
    "simulated-embedding",
    "simulated-image",
    "simulated-speech",
)
"""The names the list holds. Any other answers too, except `no-such-model`."""
MISSING = "no-such-model"


def list_models(request: Request) -> Answer:
    """The models by name."""
    return json_answer({"object": "list", "data": [_model(name) for name in MODELS]})


def show_model(request: Request) -> Answer:
    """Any model, since every name answers. Raises Refusal for `no-such-model`."""
    name = unquoted(request.path.removeprefix("/v1/models/"))
    if name == MISSING:
        raise missing(name)
    return json_answer(_model(name))


def missing(name: str) -> Refusal:
    """What a call to a model that does not exist gets."""
    return Refusal(404, f"The model {name!r} does not exist.", param="model", code="model_not_found")


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "simulated"}


def unquoted(path: str) -> str:
    """`path` without its percent signs; urllib's would add a tenth to the time of importing this package."""
    plain = re.sub(
        rb"%([0-9a-fA-F]{2})", lambda found: bytes.fromhex(found[1].decode()), path.encode("latin-1")
    )
    return plain.decode("utf-8", "replace")
