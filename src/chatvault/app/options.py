"""What each process is told at its start. Secrets go over the link, never over a command line or into an
environment."""

import msgspec

from chatvault.config.schema import BudgetsConfig, SecretsConfig, WebhooksConfig
from chatvault.config.snapshot import Snapshot
from chatvault.providers.google_account import GoogleAccount


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `chatvault serve` was asked for. `overrides` are settings by key, as `server.port`."""

    config_file: str | None = None
    overrides: dict[str, str | int | None] = {}
    tiny: bool = False
    fake: bool = False
    """Run the simulated provider even where others were found."""


class WorkerStart(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str
    runtime_dir: str
    snapshot: Snapshot
    """Without providers: what is needed before control's own is there."""


class ControlStart(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str
    runtime_dir: str
    config_file: str | None
    overrides: dict[str, str | int | None]
    working_dir: str
    ollama: bool
    own: dict[str, str]
    """Base URLs of the providers that the supervisor runs itself, by kind: `fake`, `tiny`, `litellm:NAME`."""
    management_token: str | None = None
    secrets: SecretsConfig = SecretsConfig()
    master_key: str | None = None
    """What the environment holds of master keys."""
    snapshot: Snapshot
    accounts: dict[str, GoogleAccount] = {}
    """What access tokens are got with, by provider."""
    budgets: BudgetsConfig
    webhooks: WebhooksConfig


class RecorderStart(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: str


class FakeStart(msgspec.Struct, frozen=True, kw_only=True):
    socket: str
    pace_ms: float = 10.0


class LongtailStart(msgspec.Struct, frozen=True, kw_only=True):
    socket: str
    env: dict[str, str]
    """The variables of its process: keys of providers, which nobody else gets."""


class TinyStart(msgspec.Struct, frozen=True, kw_only=True):
    port: int
