"""A control plane for tests: a real vault, a real feed, real HTTP over ASGI; a journal that remembers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from fastapi import FastAPI
from fastapi.routing import APIRoute

from chatvault.access.credential import digest
from chatvault.access.limits import Limits
from chatvault.audit.lines import Line, Private, Refused
from chatvault.config.schema import SecretsConfig
from chatvault.config.snapshot import Snapshot
from chatvault.control.access_tokens import AccessTokens
from chatvault.control.api import create_app
from chatvault.control.auth import Gate
from chatvault.control.budgets import Budgets, budgets_router
from chatvault.control.edge import App, Edge
from chatvault.control.explain import Explain, explain_router
from chatvault.control.feed_server import FeedServer, Pace, open_feed
from chatvault.control.first_start import FirstStart
from chatvault.control.google_grant import exchange
from chatvault.control.health import Health, Parts, health_router
from chatvault.control.keyring import Keyring
from chatvault.control.lender import Lender
from chatvault.control.limits import limits_router
from chatvault.control.master_keys import read_master_keys
from chatvault.control.openapi import openapi_router
from chatvault.control.options import Resolved
from chatvault.control.projects import Projects, projects_router
from chatvault.control.provider_keys import KeyManager, provider_keys_router
from chatvault.control.reconcile import Reconcile, calls_router
from chatvault.control.reload import Reload, reload_router
from chatvault.control.sign_ins import SignIns
from chatvault.control.signed import Coverage
from chatvault.control.token_routes import tokens_router
from chatvault.control.tokens import Tokens
from chatvault.control.usage import usage_router
from chatvault.control.users import Users, users_router
from chatvault.core.errors import JournalError, OperatorError
from chatvault.core.secrets import Secret
from chatvault.ledger.queries import LedgerQueries
from chatvault.providers.google_account import GoogleAccount
from chatvault.vault.store import Vault, open_vault

PEPPER = bytes(32)
MANAGEMENT = "a management token of the operator's choice"
OWNER = "/the/owner-only/socket"


class MemoryJournal:
    """Remembers what was recorded; refuses while `full`."""

    fingerprint = "SHA256:made-up"

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, dict[str, object] | None, dict[str, object] | None]] = []
        self.refused: list[Refused] = []
        self.private_parts: dict[str, dict[str, object]] = {}
        self.full = False
        self.fault: str | None = None

    def admin(
        self,
        who: str,
        what: str,
        subject: str,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        if self.full:
            raise JournalError("The disk is full. Make room.")
        self.lines.append((who, what, subject, before, after))

    def append(self, line: Line) -> None:
        if self.full:
            raise JournalError("The disk is full. Make room.")
        assert isinstance(line, Refused)
        self.refused.append(line)

    def private(self, id: str, kind: str, data: dict[str, object]) -> Private:
        self.private_parts[id] = data
        return Private("0" * 64, 0, 0)

    @property
    def acts(self) -> list[tuple[str, str]]:
        return [(who, what) for who, what, *_ in self.lines]


class Plane:
    def __init__(self, vault: Vault, feed: FeedServer, lender: Lender, path: Path, data: Path) -> None:
        self.vault, self.feed, self.feed_path, self.data = vault, feed, path, data
        self.journal = MemoryJournal()
        self.coverage: Coverage | JournalError = Coverage(number=3, at=1_000_000, unsigned=2, chains=1)
        self.next: Snapshot | OperatorError = Snapshot(version=0)
        self.queries = LedgerQueries(data)
        self.accounts: dict[str, GoogleAccount] = {}
        self.access = AccessTokens(feed.lend, exchange, {})
        self.lender = lender
        self.sign_ins = SignIns(self.journal, lambda: feed.snapshot)
        self.gate = Gate(vault, PEPPER, self.sign_ins, Secret(MANAGEMENT), OWNER)
        self.default_limits: Limits | None = None
        self.tokens = Tokens(vault, PEPPER, feed, self.journal, lambda: self.default_limits)
        self.budgets = Budgets(vault.budgets, (vault, vault.people), feed, lender, self.journal)
        self.keyring = Keyring(vault.keys, read_master_keys(SecretsConfig(), data, None), feed)
        self.keys = KeyManager(vault.keys, vault.people, self.keyring, feed, self.journal)
        self.first_start = FirstStart(vault, self.tokens, given=False)
        parts = Parts(
            "0.1",
            feed,
            self.journal,
            self._coverage,
            vault.count,
            self.queries,
            self.keyring,
            self.access.states,
        )
        routers = [
            health_router(Health(parts), self.gate),
            projects_router(Projects(vault.people, feed, self.journal, self.queries), self.gate),
            users_router(Users(vault.people, feed, self.journal), self.gate),
            tokens_router(self.tokens, self.queries, self.gate),
            budgets_router(self.budgets, self.gate),
            limits_router(feed, self.gate),
            provider_keys_router(self.keys, self.gate),
            usage_router(self.queries, self.gate),
            explain_router(Explain(data / "journal", self.queries, vault, self.budgets, feed), self.gate),
            calls_router(
                Reconcile(self.queries, vault.budgets, lender, self.journal, data / "journal"), self.gate
            ),
            reload_router(Reload(self._resolve, feed, self.journal, self._take, self.keyring), self.gate),
            openapi_router(self.gate),
        ]
        self.routes = {
            f"{method} {route.path}": route
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }
        self.app: FastAPI = create_app(routers, "http://127.0.0.1:4000", "0.1")
        self.edge = Edge(self.app)
        self.http = client(self.edge, MANAGEMENT)

    def _coverage(self) -> Coverage:
        if isinstance(self.coverage, JournalError):
            raise self.coverage
        return self.coverage

    async def _resolve(self) -> Resolved:
        if isinstance(self.next, OperatorError):
            raise self.next
        return Resolved(self.next, self.accounts)

    def _take(self, resolved: Resolved) -> None:
        self.access.configure(resolved.accounts)

    def digest(self, token: str) -> bytes:
        return digest(PEPPER, token.encode())

    async def digest_known(self, token: str) -> bool:
        return bool(await self.vault.find([self.digest(token)]))


def client(app: App, token: str | None = None) -> httpx2.AsyncClient:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://control", headers=headers)


@asynccontextmanager
async def open_plane(data: Path, *, expected: int = 0, patience: float = 0.15) -> AsyncIterator[Plane]:
    with TemporaryDirectory(prefix="cv") as folder:
        path, lender = Path(folder) / "feed.sock", Lender()
        async with (
            open_vault(data / "vault.db", patience=0.2) as vault,
            open_feed(
                path,
                vault,
                PEPPER,
                Snapshot(version=1),
                expected=expected,
                pace=Pace(5, 15, patience),
                lender=lender,
            ) as feed,
        ):
            plane = Plane(vault, feed, lender, path, data)
            async with plane.http:
                yield plane
            await plane.queries.close()
