"""Anthropic's dialect as Vertex AI has it: the model stands in the path, the version in the body
(https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude, seen 2026-11)."""

import re
from typing import Any

import msgspec

from chatvault.fake import anthropic
from chatvault.fake.answer import Answer
from chatvault.fake.errors import Refusal
from chatvault.fake.models import unquoted
from chatvault.fake.request import Request

ROOT = r"/v1(?:beta1)?/(?:projects/[^/]+/locations/[^/]+/)?"
MODEL = re.compile(ROOT + r"publishers/anthropic/models/([^/]+?):[A-Za-z]+")
MESSAGES = re.compile(ROOT + "publishers/anthropic/models/[^/]+:(?:rawPredict|streamRawPredict)")
COUNT = re.compile(ROOT + "publishers/anthropic/models/count-tokens:rawPredict")
VERSIONS = ("vertex-2023-10-16", "2026-10-21")
"""https://platform.claude.com/docs/en/api/versioning (seen 2026-11)"""


def model_of(path: str) -> str:
    """The model a path names; none where it names none, or the one that counts tokens."""
    found = MODEL.fullmatch(path)
    name = unquoted(found[1]) if found is not None else ""
    return "" if name == "count-tokens" else name


def messages(request: Request) -> Answer:
    """Raises Refusal for what Anthropic's API takes and Vertex AI does not."""
    body = _body(request)
    if "model" in body:
        raise Refusal(400, "model: Extra inputs are not permitted", param="model")
    streams = request.path.endswith(":streamRawPredict")
    if bool(body.get("stream")) != streams:
        raise Refusal(400, "The method and the field `stream` disagree.", param="stream")
    body["model"] = model_of(request.path)
    return anthropic.messages(msgspec.structs.replace(request, body=msgspec.json.encode(body)))


def count_tokens(request: Request) -> Answer:
    _body(request)
    return anthropic.count_tokens(request)


def _body(request: Request) -> dict[str, Any]:
    body = request.decode(dict[str, Any])
    if body.get("anthropic_version") not in VERSIONS:
        raise Refusal(400, f"anthropic_version: Input should be '{VERSIONS[0]}'", param="anthropic_version")
    return body
