"""A key file of Google's: who gets access tokens, and where.

https://google.aip.dev/auth/4112 (service accounts), https://google.aip.dev/auth/4113 (users) (2026-11)
"""

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

TOKEN_URL: Final = "https://oauth2.googleapis.com/token"
_GOOGLE: Final = re.compile(r"https://([a-z0-9-]+\.)*(googleapis\.com|accounts\.google\.com)(/[!-~]*)?")
"""Whom a signed grant may be shown. A key file that names another host may have been made to steal it."""
_URL: Final = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[!-~]*)?")
_LARGEST: Final = 64 << 10


class GoogleAccount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What access tokens are got with. It goes to control and no further: no worker, no log, no answer has it."""

    kind: Literal["service_account", "authorized_user"]
    token_url: str
    project: str = ""
    client_email: str = ""
    private_key_id: str = ""
    private_key: str = ""
    """In PEM."""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    ca_file: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"GoogleAccount(kind={self.kind!r}, token_url={self.token_url!r}, ...)"  # not the key


class _KeyFile(msgspec.Struct):
    type: str
    project_id: str = ""
    quota_project_id: str = ""
    token_uri: str = TOKEN_URL
    client_email: str = ""
    private_key_id: str = ""
    private_key: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


def google_account(
    file: str | None, text: str | None, token_url: str | None, ca_file: str | None
) -> GoogleAccount:
    """Of a file, or of what would stand in one. `token_url` is the operator's own, which may lead anywhere.
    Raises ValueError that begins with the setting at fault; it shows nothing of the content."""
    setting = "credentials" if file is None else "credentials_file"
    where = "" if file is None else f" {file}"
    try:
        said = msgspec.json.decode(_read(file) if file is not None else text or "", type=_KeyFile)
    except msgspec.DecodeError:
        raise ValueError(f"{setting}:{where} is no key file of Google's (JSON with a `type`)") from None
    needed = {
        "service_account": ("client_email", "private_key"),
        "authorized_user": ("client_id", "client_secret", "refresh_token"),
    }.get(said.type)
    if needed is None:
        raise ValueError(
            f"{setting}:{where} is of type {said.type[:40]!r}; service_account and authorized_user are known here"
        )
    missing = [name for name in needed if not getattr(said, name)]
    if missing:
        raise ValueError(f"{setting}:{where} has no {' and no '.join(missing)}")
    if token_url is not None and not _URL.fullmatch(token_url):
        raise ValueError("token_url: not a URL; write https://host/path")
    if token_url is None and not _GOOGLE.fullmatch(said.token_uri):
        raise ValueError(
            f"{setting}:{where} would have its grants sent elsewhere than to Google (token_uri); "
            "set token_url if that is meant"
        )
    return GoogleAccount(
        kind="service_account" if said.type == "service_account" else "authorized_user",
        token_url=token_url or said.token_uri,
        project=said.project_id or said.quota_project_id,
        ca_file=ca_file,
        **{name: getattr(said, name) for name in (*needed, "private_key_id")},
    )


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_LARGEST)
    except OSError as error:
        raise ValueError(f"credentials_file: {file}: {error.strerror}") from None
