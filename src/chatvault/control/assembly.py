"""The control plane as one value: its routes, on the parts they stand on."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from chatvault.config.snapshot import AccessToken
from chatvault.control.access_tokens import AccessTokens
from chatvault.control.alarm import Alarm
from chatvault.control.api import create_app
from chatvault.control.auth import Gate
from chatvault.control.budgets import Budgets, budgets_router
from chatvault.control.cleanup import Cleanup
from chatvault.control.counter import Counter
from chatvault.control.edge import Edge
from chatvault.control.explain import Explain, explain_router
from chatvault.control.feed_server import FeedServer
from chatvault.control.first_start import FirstStart
from chatvault.control.health import Health, Parts, health_router
from chatvault.control.http_server import HttpServer
from chatvault.control.keyring import Keyring
from chatvault.control.lender import Lender
from chatvault.control.limits import limits_router
from chatvault.control.minting import Minting
from chatvault.control.openapi import openapi_router
from chatvault.control.options import ControlOptions, Resolved
from chatvault.control.projects import Projects, projects_router
from chatvault.control.provider_keys import KeyManager, provider_keys_router
from chatvault.control.reconcile import Reconcile, calls_router
from chatvault.control.reload import Reload, reload_router
from chatvault.control.sign_ins import SignIns
from chatvault.control.signed import SignedSoFar
from chatvault.control.stores import Stores
from chatvault.control.token_routes import tokens_router
from chatvault.control.tokens import Tokens, default_limits
from chatvault.control.usage import usage_router
from chatvault.control.users import Users, users_router
from chatvault.providers.google_account import GoogleAccount


class Plane(msgspec.Struct, frozen=True):
    http: HttpServer
    first_start: FirstStart
    reload: Reload
    counter: Counter
    access: AccessTokens
    cleanup: Cleanup
    sign_ins: SignIns
    alarm: Alarm


def build(
    options: ControlOptions,
    pepper: bytes,
    owner_path: str,
    feed: FeedServer,
    stores: Stores,
    lender: Lender,
    keyring: Keyring,
) -> Plane:
    """`owner_path` is that of the owner-only socket. Raises OperatorError for a bad management token."""
    vault, keeper, queries = stores.vault, stores.keeper, stores.queries
    server = options.snapshot.server
    sign_ins = SignIns(keeper.writer, lambda: feed.snapshot)
    gate = Gate(vault, pepper, sign_ins, options.management_token, owner_path)
    tokens = Tokens(vault, pepper, feed, keeper, lambda: default_limits(feed.snapshot.limits))
    Minting(vault, tokens).listen(feed.questions)
    access = AccessTokens(feed.lend, _exchange, options.accounts)
    alarm = Alarm(options, stores, lender)

    def take(resolved: Resolved) -> None:
        access.configure(resolved.accounts)
        alarm.configure(resolved)

    reload = Reload(options.resolve, feed, keeper, take, keyring)
    budgets = Budgets(vault.budgets, (vault, vault.people), feed, lender, keeper)
    signed = SignedSoFar(keeper.writer.folder, keeper.writer.chain)
    health = Health(
        Parts(
            version=options.version,
            feed=feed,
            keeper=keeper,
            coverage=signed.coverage,
            vault=vault.count,
            queries=queries,
            access=access.states,
            webhook=alarm.deliveries.state,
            keyring=keyring,
        )
    )
    routers = (
        health_router(health, gate),
        projects_router(Projects(vault.people, feed, keeper, queries), gate),
        users_router(Users(vault.people, feed, keeper), gate),
        tokens_router(tokens, queries, gate),
        budgets_router(budgets, gate),
        limits_router(feed, gate),
        calls_router(Reconcile(queries, vault.budgets, lender, keeper, keeper.writer.folder), gate),
        provider_keys_router(KeyManager(vault.keys, vault.people, keyring, feed, keeper), gate),
        usage_router(queries, gate),
        explain_router(Explain(keeper.writer.folder, queries, vault, budgets, feed), gate),
        reload_router(reload, gate),
        openapi_router(gate),
    )
    app = create_app(routers, f"http://{server.host}:{server.port}", options.version)
    return Plane(
        http=HttpServer(Edge(app)),
        first_start=FirstStart(vault, tokens, given=options.management_token is not None),
        reload=reload,
        counter=Counter(keeper, lambda: feed.snapshot),
        access=access,
        cleanup=Cleanup(vault, keeper, lambda: feed.snapshot.tokens.keep_expired),
        sign_ins=sign_ins,
        alarm=alarm,
    )


async def _exchange(account: GoogleAccount) -> AccessToken:
    """Few need it, and what it imports takes long."""
    exchange = await asyncio.to_thread(_grants)
    return await exchange(account)


def _grants() -> Callable[[GoogleAccount], Awaitable[AccessToken]]:
    from chatvault.control.google_grant import exchange

    return exchange
