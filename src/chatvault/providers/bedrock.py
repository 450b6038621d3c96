"""Amazon Bedrock: an address made of the region, calls signed with the account's keys or sent with a key of Bedrock's
own, and Anthropic's messages under paths that name the model.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-api.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html (2026-11)
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from chatvault.config.schema import ProviderConfig
from chatvault.config.snapshot import AwsKeys

KIND: Final = "bedrock"
STYLE: Final[Literal["bedrock"]] = "bedrock"
KEY_ENV: Final = "AWS_BEARER_TOKEN_BEDROCK"
BASE_URL_ENV: Final = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
KEYS_ENV: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TOKEN_ENV: Final = "AWS_SESSION_TOKEN"
REGION_ENV: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
VARIABLES: Final = (*KEYS_ENV, TOKEN_ENV, *REGION_ENV)
"""Of any service of AWS's: they are looked at only where Bedrock is asked for."""
_SETTINGS: Final = ("region", "access_key_id", "secret_access_key", "session_token")
_SECRETS: Final = _SETTINGS[1:]
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")
_KEY: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"https://bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?:/|$)")


class Placed(msgspec.Struct, frozen=True):
    """An account with its address, and what its calls are signed with (None: they are sent with a key)."""

    account: ProviderConfig
    signing: AwsKeys | None
    problems: tuple[str, ...] = ()


def placed(account: ProviderConfig, environ: Mapping[str, str]) -> Placed:
    """What the configuration says goes before the environment, and a key of Bedrock's own before keys of the whole
    account, as in AWS's libraries."""
    problems: list[str] = []
    base_url = account.base_url or _first((BASE_URL_ENV,), environ)
    region = account.region or _first(REGION_ENV, environ) or _region_of(base_url)
    keys = _keys(account, environ, problems)
    if region and not _REGION.fullmatch(region):
        problems.append(f"region: {region!r} is none of AWS's; write one as in us-east-1")
    elif not region and (keys is not None or not base_url):
        problems.append(f"region: needed; set it, or {' or '.join(REGION_ENV)} in the environment")
    if not base_url:
        place = region if _REGION.fullmatch(region) else "no-region"  # which has been said already
        base_url = f"https://bedrock-runtime.{place}.amazonaws.com{'.cn' if place.startswith('cn-') else ''}"
    signing = None
    if keys is not None:
        key_id, secret, token = keys
        signing = AwsKeys(
            region=region, access_key_id=key_id, secret_access_key=secret, session_token=token or None
        )
    return Placed(msgspec.structs.replace(account, base_url=base_url), signing, tuple(problems))


def found(environ: Mapping[str, str]) -> ProviderConfig | None:
    """The account that the environment asks for: by a key of Bedrock's own, or by its address beside keys of AWS.
    Keys of AWS alone are there for many ends, and open nothing by themselves."""
    key, said = _first((KEY_ENV,), environ), _first((BASE_URL_ENV,), environ)
    if not key and not (said and all(_first((name,), environ) for name in KEYS_ENV)):
        return None
    there = placed(ProviderConfig(kind=KIND, api_key=key or None), environ)
    return None if there.problems else there.account


def misplaced(account: ProviderConfig) -> list[str]:
    """Problems of an account of another kind."""
    return [
        f"{name}: only `kind: {KIND}` has one" for name in _SETTINGS if getattr(account, name) is not None
    ]


def anthropic_path(path: bytes, model: str | None, stream: bool) -> bytes:
    """The path of one of Anthropic's, below the base URL. A model's name is one segment, whatever is in it."""
    if path != b"/messages" or model is None:
        return path
    verb = b"invoke-with-response-stream" if stream else b"invoke"
    return b"/model/%s/%s" % (quote(model, safe="").encode(), verb)


def listed(names: Iterable[str]) -> tuple[str, ...]:
    """The price book's names of models, without those that stand for several regions' at once."""
    return tuple(name for name in names if not name.startswith("regional."))


def _keys(
    account: ProviderConfig, environ: Mapping[str, str], problems: list[str]
) -> tuple[str, str, str] | None:
    """What to sign with, empty where it is missing; None where something else says who calls."""
    said = [getattr(account, name) or "" for name in _SECRETS]
    if any(said):
        if account.api_key is not None:
            problems.append("api_key: there is an access_key_id, too; write one of them")
        for name, value in zip(_SECRETS[:2], said, strict=False):
            if not value:
                problems.append(
                    f"{name}: needed; calls are signed with both, access_key_id and secret_access_key"
                )
    else:
        named = any(name.lower() == "authorization" for name in account.headers)
        if account.api_key or named or _first((KEY_ENV,), environ):
            return None
        said = [_first((name,), environ) for name in (*KEYS_ENV, TOKEN_ENV)]
        if not (said[0] and said[1]):
            problems.append(
                f"api_key: needed; set {KEY_ENV}, or {' and '.join(KEYS_ENV)} in the environment or .env, "
                "or api_key, or access_key_id and secret_access_key"
            )
            return None
    for name, value in zip(_SECRETS, said, strict=True):
        if value and not _KEY.fullmatch(value):
            problems.append(f"{name}: has a character that no key has (a blank, a line end?)")
    return said[0], said[1], said[2]


def _region_of(base_url: str) -> str:
    host = _HOST.match(base_url)
    return host[1] if host is not None else ""


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str:
    return next(filter(None, (environ.get(variable, "").strip() for variable in variables)), "")
