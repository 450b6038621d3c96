"""Google's Vertex AI: an address made of project and location, and Anthropic's messages under Google's paths.

https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (2026-11)
"""

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from chatvault.config.schema import ProviderConfig
from chatvault.providers.google_account import GoogleAccount, google_account

KIND: Final = "vertex"
STYLE: Final[Literal["vertex"]] = "vertex"
PROJECT_ENV: Final = ("GOOGLE_CLOUD_PROJECT",)
LOCATION_ENV: Final = ("GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION")
CREDENTIALS_ENV: Final = "GOOGLE_APPLICATION_CREDENTIALS"
VERTEX_MEANT: Final = "GOOGLE_GENAI_USE_VERTEXAI"
"""What makes Google's own library ask Vertex AI."""
KEY_ENV: Final = "VERTEX_API_KEY"
BASE_URL_ENV: Final = "GOOGLE_VERTEX_BASE_URL"
VARIABLES: Final = (CREDENTIALS_ENV, *PROJECT_ENV, *LOCATION_ENV, VERTEX_MEANT)
DEFAULT_LOCATION: Final = "global"
"""Where Google's own library asks if nothing is said (google-genai 3.4.0, 2026-11)."""
_MULTI_REGIONS: Final = ("us", "eu")
"""https://github.com/crmne/ruby_llm/issues/780, and both official libraries (2026-11)"""
_VERSION: Final = re.compile(r".*/v1(beta1)?")
_PLACE: Final = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_SETTINGS: Final = ("project", "location", "credentials_file", "credentials", "token_url")
_COUNT_TOKENS: Final = b"/models/count-tokens:rawPredict"


class Placed(msgspec.Struct, frozen=True):
    """An account with its whole address, and what control gets its tokens with (None: it has a key)."""

    account: ProviderConfig
    google: GoogleAccount | None
    problems: tuple[str, ...] = ()


def placed(account: ProviderConfig, environ: Mapping[str, str]) -> Placed:
    """Where the account's calls go. What stands in its `base_url` is kept; what is missing of project and location
    is added."""
    key = account.api_key or environ.get(KEY_ENV, "").strip()
    signed = bool(key) or any(name.lower() == "authorization" for name in account.headers)
    problems: list[str] = []
    google = None if signed else _google(account, environ, problems)
    project = account.project or ("" if key else _first(PROJECT_ENV, environ))
    if not project and google is not None:
        project = google.project
    location = account.location or _first(LOCATION_ENV, environ) or DEFAULT_LOCATION
    said = account.base_url or environ.get(BASE_URL_ENV, "").strip()
    if not (project or key or "/projects/" in said):
        problems.append(f"project: needed; set it, or {' or '.join(PROJECT_ENV)} in the environment")
    for name, value in (("project", project), ("location", location)):
        if value and not _PLACE.fullmatch(value):
            problems.append(f"{name}: {value!r} is none of Google's; letters, digits, `-`, `.`, `:`")
    base_url = said.rstrip("/") or f"https://{host_of(location)}"
    if not ("/projects/" in base_url or "/publishers" in base_url):
        base_url += "" if _VERSION.fullmatch(base_url) else "/v1"
        base_url += f"/projects/{project}/locations/{location}" if project else ""
    return Placed(msgspec.structs.replace(account, base_url=base_url), google, tuple(problems))


def host_of(location: str) -> str:
    """Regions have a name of their own before the service's, multi-regions within it, and `global` has none."""
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def found(environ: Mapping[str, str]) -> ProviderConfig | None:
    """The account that the environment says enough of: a key of express mode, or credentials that can be used, a
    project, and that Vertex AI is meant. Many machines have Google's credentials for other ends."""
    key = environ.get(KEY_ENV, "").strip() or None
    account = ProviderConfig(kind=KIND, base_url=environ.get(BASE_URL_ENV, "").strip() or None, api_key=key)
    if key is not None:
        return account
    meant = _first(LOCATION_ENV, environ) or environ.get(VERTEX_MEANT, "").strip().lower() in ("true", "1")
    file = environ.get(CREDENTIALS_ENV, "").strip()
    if not (meant and file and _first(PROJECT_ENV, environ)):
        return None
    try:
        google_account(file, None, None, None)
    except ValueError:
        return None
    return account


def misplaced(account: ProviderConfig) -> list[str]:
    """Problems of an account of another kind."""
    return [
        f"{name}: only `kind: vertex` has one" for name in _SETTINGS if getattr(account, name) is not None
    ]


def anthropic_path(path: bytes, model: str | None, stream: bool) -> bytes:
    """The path below `/publishers/anthropic` of one of Anthropic's."""
    if path == b"/messages/count_tokens":
        return _COUNT_TOKENS
    if path != b"/messages" or model is None:
        return path
    verb = b"streamRawPredict" if stream else b"rawPredict"
    return b"/models/%s:%s" % (quote(model, safe="@").encode(), verb)


def _google(account: ProviderConfig, environ: Mapping[str, str], problems: list[str]) -> GoogleAccount | None:
    file = account.credentials_file or (
        None if account.credentials else environ.get(CREDENTIALS_ENV, "").strip()
    )
    if account.credentials is not None and account.credentials_file is not None:
        problems.append("credentials: there is a credentials_file, too; write one of them")
    elif not (file or account.credentials):
        problems.append(
            f"credentials_file: needed; set it, or {CREDENTIALS_ENV} in the environment, or an api_key"
        )
    else:
        try:
            return google_account(file or None, account.credentials, account.token_url, account.ca_file)
        except ValueError as error:
            problems.append(str(error))
    return None


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str:
    return next(filter(None, (environ.get(variable, "").strip() for variable in variables)), "")
