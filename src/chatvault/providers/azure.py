"""Azure OpenAI's two kinds of paths: `/openai/v1/...`, where the body names the model, and with a dated
version `/openai/deployments/{deployment}/...?api-version=...`, where the path does.

https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle (2026-11)
"""

import re
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

KIND: Final = "azure"
DEPLOYMENTS: Final = "azure-deployments"
VERSION: Final = re.compile(r"v1|preview|latest|20\d\d-\d\d-\d\d(-preview)?")
"""What Azure takes as a version."""

_BY_DEPLOYMENT: Final = frozenset(
    (
        b"/chat/completions",
        b"/completions",
        b"/embeddings",
        b"/audio/speech",
        b"/audio/transcriptions",
        b"/audio/translations",
        b"/images/generations",
        b"/images/edits",
    )
)
"""Whose path names the deployment; all others name it in the body, or nowhere. As in the official library:
https://github.com/openai/openai-python/blob/main/src/openai/lib/azure.py (2026-11)"""


def path_style(api_version: str | None) -> Literal["azure-deployments"] | None:
    """Dated versions have the deployment in the path."""
    return DEPLOYMENTS if api_version is not None and api_version[:1].isdigit() else None


def version_query(api_version: str | None) -> str:
    """What every call's query holds. The v1 path needs no version; `preview` opens what is new there."""
    return f"api-version={api_version}" if api_version not in (None, "v1") else ""


def deployment_path(path: bytes, model: str | None) -> bytes:
    """The path below `/openai` of what stands behind `/v1` in the dialect. `model` is the deployment's
    name, which the caller has checked; a path that names a deployment by itself leads nowhere."""
    if model is None or not (path in _BY_DEPLOYMENT or b"deployments" in path.split(b"/")):
        return path
    return b"/deployments/" + quote(model, safe="").encode() + path


def versioned(query: bytes, ours: bytes) -> bytes:
    """The query (with its question mark) of a call, `ours` in place of a version that the client names."""
    kept = [
        each
        for each in query[1:].split(b"&")
        if each and unquote_to_bytes(each.partition(b"=")[0]).lower() != b"api-version"
    ]
    return b"?" + b"&".join([*kept, ours])
