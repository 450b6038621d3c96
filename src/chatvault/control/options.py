"""What the control process is told, and whom it tells how it is."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from chatvault.config.schema import BudgetsConfig, SecretsConfig, WebhooksConfig
from chatvault.config.snapshot import Snapshot
from chatvault.control.feed_server import PACE, Pace
from chatvault.core.secrets import Secret
from chatvault.providers.google_account import GoogleAccount

Status = Callable[[dict[str, object]], None]
"""Hears what `run_control` says of itself; the values are those of JSON."""


class Resolved(msgspec.Struct, frozen=True):
    """A configuration: what workers get of it, and what stays here, by provider."""

    snapshot: Snapshot
    accounts: dict[str, GoogleAccount] = {}
    budgets: BudgetsConfig = BudgetsConfig()
    webhooks: WebhooksConfig = WebhooksConfig()


class ControlOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`runtime` is the private folder for its sockets; `listener` the TCP socket of the admin port, bound and
    listening, None for none; `accounts` is what access tokens are got with; `management_token` what the operator
    has set; `secrets` says where master keys come from, and `master_key` is what the environment holds of them;
    `resolve` makes the configuration anew, and raises OperatorError if it is wrong; `reload` is set by whoever wants
    that; `told` once the operator has seen the first tokens (None: hearing of them is enough).
    """

    data_dir: Path
    runtime: Path
    snapshot: Snapshot
    accounts: dict[str, GoogleAccount] = {}
    budgets: BudgetsConfig = BudgetsConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    resolve: Callable[[], Awaitable[Resolved]]
    version: str
    listener: socket.socket | None = None
    management_token: Secret | None = None
    secrets: SecretsConfig = SecretsConfig()
    master_key: Secret | None = None
    reload: asyncio.Event | None = None
    told: asyncio.Event | None = None
    pace: Pace = PACE
