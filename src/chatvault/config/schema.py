"""Every setting there is, with its default and its meaning. `docs/configuration.md` is checked against this
file.

Sizes are bytes (`32MiB` in the file), durations seconds (`1h` in the file).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Size = Annotated[int, Meta(ge=1, extra={"unit": "size"})]
"""Bytes."""
Seconds = Annotated[float, Meta(gt=0, extra={"unit": "duration"})]
Port = Annotated[int, Meta(ge=0, le=65535)]
"""0: any that is free."""
Count = Annotated[int, Meta(ge=1)]
Day = Annotated[str, Meta(pattern=r"^20\d\d(-[01]\d(-[0-3]\d)?)?$")]
"""`YYYY-MM-DD`; a month or a year where no more is known."""
Modality = Literal["text", "image", "audio", "video", "pdf"]


class Setting(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """The base of all sections."""


class ServerConfig(Setting, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: Port = 4000
    admin_host: str = "127.0.0.1"
    admin_port: Port = 4001
    workers: Count = 1
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    max_body: Size = 32 << 20
    """Of a JSON request."""
    max_upload: Size = 512 << 20
    """Of a multipart or binary request, which is streamed up and never held."""
    max_bodies: Size = 256 << 20
    """Of all requests a worker holds at a time."""
    max_header: Size = 64 << 10
    header_timeout: Seconds = 10.0
    body_timeout: Seconds = 60.0
    """The longest silence within a request body."""
    idle_timeout: Seconds = 75.0
    """Of a kept-alive connection between two calls."""
    send_timeout: Seconds = 120.0
    """The longest a client may take none of an answer that waits for it."""
    drain_timeout: Annotated[float, Meta(ge=0, extra={"unit": "duration"})] = 30.0
    client_gone: Literal["cancel", "drain"] = "cancel"
    """What becomes of the provider's answer when its client has left: `drain` reads on, so that the usage is
    known."""


class AuditConfig(Setting, frozen=True, kw_only=True):
    durability: Literal["process", "power"] = "process"
    on_failure: Literal["refuse", "continue"] = "refuse"
    bodies: Literal["none", "full"] = "none"
    max_kept_body: Size = 1 << 20
    segment_size: Size = 64 << 20
    segment_age: Seconds = 3600.0
    sign_interval: Seconds = 5.0
    reserve: Annotated[int, Meta(ge=0, extra={"unit": "size"})] = 4 << 20
    """Space kept for closing what is open when the disk is full."""


Limit = Annotated[int, Meta(ge=0)] | None
"""None: no limit of that kind."""


class RateConfig(Setting, frozen=True, kw_only=True):
    """Windows that slide, and calls under way at a time; `shadow` only records what would have been refused."""

    requests_per_minute: Limit = None
    requests_per_hour: Limit = None
    requests_per_day: Limit = None
    tokens_per_minute: Limit = None
    tokens_per_hour: Limit = None
    tokens_per_day: Limit = None
    concurrent: Limit = None
    shadow: bool = False


class LimitsConfig(Setting, frozen=True, kw_only=True):
    default_requests_per_hour: Annotated[int, Meta(ge=0)] = 1000
    """Of tokens that are made through the control plane and name no limits of their own; 0: none."""
    failures_per_minute: Annotated[int, Meta(ge=0)] = 60
    """Tokens that one address may guess wrong within a minute; then what is new there is refused unasked. 0: any
    number."""
    address: RateConfig = RateConfig()
    """Of each client address."""
    models: dict[str, RateConfig] = {}
    """Of each model by itself, by patterns over public names; the first that fits."""
    store: str | None = None
    """A Valkey or Redis that all windows are in, shared by all workers and hosts that name it."""
    store_timeout: Seconds = 0.005
    """The longest that a call waits for it."""
    on_store_failure: Literal["split", "closed"] = "split"
    """What a call is decided by that it does not answer: `split`, the worker's even share; `closed`: it is refused."""

    def __repr__(self) -> str:
        return (
            f"LimitsConfig(address={self.address!r}, models={self.models!r}, ...)"  # not the store's password
        )


class TokensConfig(Setting, frozen=True, kw_only=True):
    keep_expired: Seconds = 30 * 86_400.0
    """How long a token is kept after it has expired; its calls stay on record."""


Percent = Annotated[int, Meta(ge=1, le=1000)]


class BudgetsConfig(Setting, frozen=True, kw_only=True):
    thresholds: tuple[Percent, ...] = (50, 80, 100)
    """Percent of a budget; that so much of it is spent in a period goes on record once each, and to the webhook."""


class WebhooksConfig(Setting, frozen=True, kw_only=True):
    url: str | None = None
    """Where events are posted to. Its path may be a secret: only scheme, host and port are ever shown."""
    secret: str | None = None
    """What they are signed with."""
    allow_private: bool = False
    """Also post to addresses that are not public, and without TLS."""

    def __repr__(self) -> str:
        return f"WebhooksConfig(allow_private={self.allow_private}, ...)"  # neither the path nor the secret


class SecretsConfig(Setting, frozen=True, kw_only=True):
    """Where the master key comes from, which the provider keys in the vault are sealed under."""

    master_key_file: str | None = None
    """None: `secrets/master.key` in the data folder."""
    master_key_command: tuple[str, ...] = ()
    """A program and its arguments, run once at the start; its output is the master key."""
    master_key_timeout: Seconds = 10.0
    """How long it may take."""


class Timeouts(Setting, frozen=True, kw_only=True):
    connect: Seconds = 5.0
    first_byte: Seconds = 600.0
    idle: Seconds = 120.0
    total: Seconds | None = None


class ProviderConfig(Setting, frozen=True, kw_only=True):
    """A provider account. `kind` names a row of the provider table, whose values hold where these are not
    set.

    A provider that is called as a row (`openai`, `groq`, ...) is of that kind without saying so.
    """

    kind: str = "openai-compatible"
    base_url: str | None = None
    api_key: str | None = None
    vault_only: bool = False
    """Its keys are those of the vault: none is looked for in the environment, and a call that finds none there does not
    go out."""
    headers: dict[str, str] = {}
    """Sent with every call, over the client's own."""
    timeouts: Timeouts = Timeouts()
    ca_file: str | None = None
    proxy: str | None = None
    """`http://host:port`; none: taken from HTTPS_PROXY and NO_PROXY."""
    stream_usage: bool | None = None
    """Whether the provider knows `stream_options.include_usage`."""
    api_version: str | None = None
    """Of Azure OpenAI alone. A date asks for its deployment paths; not set: the v1 path."""
    project: str | None = None
    """This and what follows, to `token_url`, is of Vertex AI alone."""
    location: str | None = None
    credentials_file: str | None = None
    """A key file of Google's: of a service account, or of a user (`authorized_user`)."""
    credentials: str | None = None
    """What would stand in that file."""
    token_url: str | None = None
    """Where the credentials are exchanged for access tokens; none: where they say, at Google."""
    region: str | None = None
    """This and what follows is of Amazon Bedrock alone."""
    access_key_id: str | None = None
    """Keys that calls are signed with, in place of an `api_key`."""
    secret_access_key: str | None = None
    session_token: str | None = None
    """Beside keys that were lent for a time."""
    env: dict[str, str] = {}
    """Of `kind: litellm` alone: the variables of its process, keys of providers among them."""

    def __repr__(self) -> str:
        return f"ProviderConfig(kind={self.kind!r}, base_url={self.base_url!r}, ...)"  # not the credential


class ModelConfig(Setting, frozen=True, kw_only=True):
    provider: str
    model: str | None = None
    """The name at the provider; the public name when it is not set."""
    context: Count | None = None
    """This and the following say what the model is like, over what is known of it (`pricing/facts.py`)."""
    input: Count | None = None
    output: Count | None = None
    """The most tokens of an answer: without a bound in the request, the worst case of a call's cost."""
    inputs: tuple[Modality, ...] | None = None
    outputs: tuple[Modality, ...] | None = None
    tools: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    released: Day | None = None
    knowledge: Day | None = None
    retires: Day | None = None


class PriceConfig(Setting, frozen=True, kw_only=True):
    """US dollars per million units, exact decimals as text or number; `request` is dollars a call."""

    input: str | None = None
    cached: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    input_audio: str | None = None
    input_image: str | None = None
    output: str | None = None
    reasoning: str | None = None
    output_audio: str | None = None
    output_image: str | None = None
    request: str | None = None


class Config(Setting, frozen=True, kw_only=True):
    server: ServerConfig = ServerConfig()
    audit: AuditConfig = AuditConfig()
    limits: LimitsConfig = LimitsConfig()
    tokens: TokensConfig = TokensConfig()
    budgets: BudgetsConfig = BudgetsConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    secrets: SecretsConfig = SecretsConfig()
    providers: dict[str, ProviderConfig] = {}
    models: dict[str, ModelConfig] = {}
    default_provider: str | None = None
    """Where a call goes that names no model and whose path says nothing of a provider."""
    prices: dict[str, PriceConfig] = {}
    """By `provider/model`, or `provider/*` for all of its models. A price here replaces the price book's,
    whole."""
    data_dir: Annotated[str, Meta(extra={"env": "CHATVAULT_DATA"})] = "data"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
