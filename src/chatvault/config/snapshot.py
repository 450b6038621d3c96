"""What a worker runs on: the configuration resolved, versioned, pushed whole over the feed and swapped at
once."""

from typing import Literal

import msgspec

from chatvault.config.schema import (
    AuditConfig,
    LimitsConfig,
    ModelConfig,
    ServerConfig,
    Timeouts,
    TokensConfig,
)


class Face(msgspec.Struct, frozen=True):
    """A family of dialects as a provider speaks it. `headers` carry the credential: never logged.

    Below `base_url` stand, by family: `/chat/completions` and its like (`openai`), `/messages` (`anthropic`),
    `/models/{model}:generateContent` (`gemini`), `/api/chat` (`ollama`).
    """

    base_url: str
    headers: dict[str, str]
    sets: dict[str, str] = {}
    """Fields of a request's body that it has to have, where the client did not send them."""
    drops: tuple[str, ...] = ()
    """Fields of a conversation's body that it must not have, since they stand in the path."""
    moves: dict[str, str] = {}
    """Fields of the client's head that are lists in a request's body here, by their names in either."""

    def __repr__(self) -> str:
        return f"Face(base_url={self.base_url!r}, ...)"  # not the credential


class AwsKeys(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="aws"):
    """What signs a call to AWS. Never logged, and never sent as it is."""

    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    """Beside keys that were lent for a time."""
    service: str = "bedrock"

    def __repr__(self) -> str:
        return f"AwsKeys(region={self.region!r}, ...)"  # not the credential


class LentToken(msgspec.Struct, frozen=True, tag="token"):
    """What signs a call is a token that control gets and hands to the workers, a new one from time to time."""


class AccessToken(msgspec.Struct, frozen=True):
    """`expires_at` is in microseconds since the epoch."""

    text: str
    expires_at: int

    def __repr__(self) -> str:
        return f"AccessToken(expires_at={self.expires_at})"  # not the token


class ProviderSnapshot(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A provider account, its row and its configuration merged. `headers` carry the credential: never
    logged."""

    name: str
    kind: str
    base_url: str
    """`http(s)://host[:port]/path`, or `unix:/path/to/socket:/path` for a unix socket."""
    headers: dict[str, str] = {}
    """`base_url` and `headers` are those of the face `openai` where there is one, else of the first."""
    faces: dict[str, Face] = {}
    """By family of dialects (`openai`, `anthropic`, `gemini`, `ollama`): what stands before a dialect's dot."""
    dialects: tuple[str, ...] = ()
    """All that it speaks, over all faces, the preferred first."""
    claims: dict[str, tuple[str, ...]] = {}
    """By family: what the names of its models begin with, where a provider asks for one model in one dialect and
    for another in another (behind a star: what they hold). A family that is not here has all models that none of
    them claims."""
    path_style: Literal["azure-deployments", "vertex", "bedrock"] | None = None
    """Set where the model stands in the path, though it does not in the dialect."""
    query: str = ""
    """What every call's query holds, as in `api-version=2024-10-21`."""
    signing: AwsKeys | LentToken | None = None
    """Set where each request is signed by itself, with what `providers/signer.py` makes of it."""
    price_id: str | None = None
    """The provider's id in the price book."""
    timeouts: Timeouts = Timeouts()
    ca_file: str | None = None
    proxy: str | None = None
    stream_usage: bool = True
    free: bool = False
    """Runs on the operator's own machine: its calls cost nothing, and that is known."""
    vendor: bool = False
    """It is asked at the address that its row gives, so that no call comes back from there."""
    vault_only: bool = False
    """Its keys are those of the vault alone."""

    def families(self, model: str | None) -> tuple[str, ...]:
        """The families of dialects that a model can be asked in."""
        if not self.claims or model is None:
            return tuple(self.faces)
        for family, names in self.claims.items():
            if any(name[1:] in model if name[:1] == "*" else model.startswith(name) for name in names):
                return (family,)
        return tuple(family for family in self.faces if family not in self.claims)

    def dialects_of(self, model: str | None) -> tuple[str, ...]:
        """The dialects that a model can be asked in, the preferred first."""
        if not self.claims:
            return self.dialects
        families = self.families(model)
        return tuple(dialect for dialect in self.dialects if dialect.partition(".")[0] in families)

    def __repr__(self) -> str:
        return f"ProviderSnapshot(name={self.name!r}, base_url={self.base_url!r}, ...)"  # not the credential


class KeySnapshot(msgspec.Struct, frozen=True):
    """A key of the vault, as calls to its provider are signed with it: all of the header fields that stand in place of
    a face's own, by family of dialects. Never logged."""

    id: str
    headers: dict[str, dict[str, str]]

    def __repr__(self) -> str:
        return f"KeySnapshot({self.id!r}, ...)"  # not the credential


Keys = dict[str, dict[str, tuple[KeySnapshot, ...]]]
"""By provider, then by project: its own keys; those for all projects are under the empty name. Where there are keys
and none of them can be used, there is an empty tuple: others must not pay for such a call."""


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    version: int
    server: ServerConfig = ServerConfig()
    audit: AuditConfig = AuditConfig()
    limits: LimitsConfig = LimitsConfig()
    tokens: TokensConfig = TokensConfig()
    providers: dict[str, ProviderSnapshot] = {}
    models: dict[str, ModelConfig] = {}
    """By public name. `provider/model` is always routable beside them."""
    known: dict[str, tuple[str, ...]] = {}
    """By provider: models it is known to have, for `GET /v1/models` and for suggestions."""
    default_provider: str | None = None
    prices: dict[str, dict[str, int]] = {}
    """Overrides by `provider/model` or `provider/*`: pico-dollars a unit by usage field, and `request`."""
    keys: Keys | None = {}
    """Those of the vault. None: control has not read them yet, and what a worker had before still holds."""
