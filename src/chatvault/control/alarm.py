"""Thresholds of budgets, from what is spent to the record and the webhook, put together."""

import asyncio
from functools import partial

from chatvault.access.threshold import KeptEvent
from chatvault.audit.events import on_record
from chatvault.config.schema import BudgetsConfig, WebhooksConfig
from chatvault.control.deliveries import Deliveries, Post
from chatvault.control.lender import Lender
from chatvault.control.options import ControlOptions, Resolved
from chatvault.control.outbox import Outbox
from chatvault.control.stores import Stores
from chatvault.control.thresholds import Thresholds


class Alarm:
    def __init__(self, options: ControlOptions, stores: Stores, lender: Lender) -> None:
        self._budgets: BudgetsConfig = options.budgets
        vault, keeper = stores.vault, stores.keeper
        self.deliveries = Deliveries(vault.events, _post, options.webhooks)
        outbox = Outbox(
            vault.events,
            keeper,
            partial(on_record, keeper.writer.folder),
            lambda: self.deliveries.sending,
            self.deliveries.wake,
        )
        self.thresholds = Thresholds(vault.budgets, lender, outbox, lambda: self._budgets.thresholds)

    def configure(self, resolved: Resolved) -> None:
        self._budgets = resolved.budgets
        self.deliveries.configure(resolved.webhooks)


async def _post(webhook: WebhooksConfig, event: KeptEvent) -> None:
    """Few need it, and what it imports takes long."""
    post = await asyncio.to_thread(_poster)
    await post(webhook, event)


def _poster() -> Post:
    from chatvault.control.webhook import post

    return post
