"""A provider account: what the configuration, its row and the environment say of it, merged, or what is wrong
with it."""

import re
import ssl
from collections.abc import Mapping
from typing import Final, Literal

from chatvault.config.schema import ProviderConfig
from chatvault.config.snapshot import AwsKeys, Face, LentToken, ProviderSnapshot
from chatvault.providers import azure, bedrock, longtail, vertex
from chatvault.providers.discover import base_url_of, bearer_of, key_of, key_variables, missing, needs_key
from chatvault.providers.faces import faces_of, root_of
from chatvault.providers.proxies import proxy_for
from chatvault.providers.row import ProviderRow
from chatvault.providers.rows import FAKE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?|unix:/[!-~]+")
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_STYLES: Final[dict[str, Literal["vertex", "bedrock"]]] = {
    vertex.KIND: vertex.STYLE,
    bedrock.KIND: bedrock.STYLE,
}
"""Kinds with code of their own, which say themselves what is missing."""


def merged(
    name: str, account: ProviderConfig, row: ProviderRow, environ: Mapping[str, str]
) -> ProviderSnapshot | list[str]:
    """The account as calls are sent to it, or a line for each problem."""
    problems = []
    if not _NAME.fullmatch(name):
        problems.append("a provider's name is letters, digits, `.`, `_`, `-`, 64 at most")
    account, signing = _placed(account, row, environ, problems)
    problems += longtail.problems(account)
    problems += _vault(account, row, signed=signing is not None)
    url = _base_url(name, account, row, environ, problems)
    later = signing is not None or account.vault_only
    faces = _faces(name, account, row, url, environ, problems, later=later)
    if account.ca_file is not None:
        problems += _certificates(account.ca_file)
    proxy, wrong = proxy_for(account.proxy, url or "", environ)
    if wrong is not None:
        problems.append(wrong)
    problems += _version(account.api_version, row)
    if problems or url is None:
        return problems
    main = faces[row.main]
    dialects = [row.faces[family].dialects for family in faces]
    return ProviderSnapshot(
        name=name,
        kind=row.name,
        base_url=main.base_url,
        headers=main.headers,
        faces=faces,
        dialects=tuple(dialect for spoken in dialects for dialect in spoken),
        claims={family: claims for family in faces if (claims := row.faces[family].claims)},
        path_style=_STYLES.get(row.name) or azure.path_style(account.api_version),
        query=azure.version_query(account.api_version),
        price_id=row.price_id,
        timeouts=account.timeouts,
        ca_file=account.ca_file,
        proxy=proxy or None,
        stream_usage=row.stream_usage if account.stream_usage is None else account.stream_usage,
        free=row.local,
        vendor=not row.local and row.root is not None and root_of(row, url) == row.root,
        signing=signing,
        vault_only=account.vault_only,
    )


def _placed(
    account: ProviderConfig, row: ProviderRow, environ: Mapping[str, str], problems: list[str]
) -> tuple[ProviderConfig, AwsKeys | LentToken | None]:
    """The account with its address, where that is made of its settings, and what each call is signed with."""
    signing: AwsKeys | LentToken | None = None
    if row.name == vertex.KIND:
        on_google = vertex.placed(account, environ)
        account, signing = on_google.account, LentToken() if on_google.google is not None else None
        problems += on_google.problems
    else:
        problems += vertex.misplaced(account)
    if row.name == bedrock.KIND:
        on_aws = bedrock.placed(account, environ)
        account, signing = on_aws.account, on_aws.signing
        problems += on_aws.problems
    else:
        problems += bedrock.misplaced(account)
    return account, signing


def _base_url(
    name: str, account: ProviderConfig, row: ProviderRow, environ: Mapping[str, str], problems: list[str]
) -> str | None:
    url = account.base_url or base_url_of(row, name, environ)
    if url is None and row.name == FAKE:
        problems.append("base_url: the simulated provider does not run; set where it listens")
    elif url is None and row.name == longtail.KIND:
        problems.append("base_url: LiteLLM's process for it starts with the gateway; restart the gateway")
    elif url is None and row.base_url_env:
        variables = missing(row, environ) or (row.base_url_env,)
        problems.append(f"base_url: set {' and '.join(variables)} in the environment, or base_url")
    elif url is None:
        problems.append("base_url: needed, as in http://127.0.0.1:8000/v1")
    elif not _URL.fullmatch(url) or "?" in url or "#" in url or _bad_port(url):
        problems.append(
            f"base_url: {url!r} is no URL; write http(s)://host[:port]/path or unix:/socket:/path"
        )
        return None
    return url.rstrip("/") if url is not None else None


def _bad_port(url: str) -> bool:
    port = re.match(r"https?://(?:\[[^]]*\]|[^:/]*):(\d+)", url)
    return port is not None and not 0 < int(port[1]) < 65536


def _faces(
    name: str,
    account: ProviderConfig,
    row: ProviderRow,
    url: str | None,
    environ: Mapping[str, str],
    problems: list[str],
    *,
    later: bool,
) -> dict[str, Face]:
    """What each of its faces is called with, the credential among it (unless that comes `later`, with each call).
    Values are never shown: they may be secret."""
    own = {}
    for field, value in account.headers.items():
        if not _FIELD.fullmatch(field) or not _VALUE.fullmatch(value) or value != value.strip():
            problems.append(f"headers.{field}: not a header that HTTP can carry")
        own[field.lower()] = value
    key = None if later else account.api_key or key_of(row, name, environ)
    bearer = bearer_of(row, environ) if key is None and not later else None
    credential = key or bearer
    if later or row.credentials & own.keys():
        pass  # one of them is the credential, or it comes later
    elif credential is not None:
        if not re.fullmatch(r"[!-~]+", credential):
            problems.append(
                "api_key: has a character that no key has (a blank, a line end, a quote that is not ASCII?)"
            )
    elif row.name not in _STYLES and needs_key(row, account.base_url):
        variables = " or ".join((*key_variables(row, name), *row.bearer_env))
        problems.append(
            f"api_key: needed; set {variables} in the environment or .env, or api_key, or `vault_only: true`"
        )
    if url is None:
        return {}
    faces = faces_of(row, url, own, key, bearer)
    if azure.path_style(account.api_version) is not None and (root := root_of(row, url)) is not None:
        faces = {family: Face(f"{root}/openai", face.headers) for family, face in faces.items()}
    return faces


def _vault(account: ProviderConfig, row: ProviderRow, *, signed: bool) -> list[str]:
    """What speaks against keys that are the vault's alone."""
    if not account.vault_only:
        return []
    if signed or row.name == longtail.KIND:
        return ["vault_only: the vault's keys are of no use for this provider; take it out"]
    if account.api_key or row.credentials & {name.lower() for name in account.headers}:
        return ["vault_only: a credential stands beside it; take one of them out"]
    return []


def _version(api_version: str | None, row: ProviderRow) -> list[str]:
    if api_version is None:
        return []
    if row.name != azure.KIND:
        return ["api_version: only `kind: azure` has one"]
    if not azure.VERSION.fullmatch(api_version):
        return [f"api_version: {api_version!r} is none of Azure's; write v1, preview, or as in 2024-10-21"]
    return []


def _certificates(file: str) -> list[str]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return [f"ca_file: {file} holds no certificate in PEM"]
    except OSError as error:
        return [f"ca_file: {file}: {error.strerror}"]
    return []
