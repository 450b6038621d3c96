"""The grants this worker knows: looked up at control on first use, kept, dropped when control says so.

What is kept is bounded. While control is away, what is known goes on working, and what is not known is
refused with 503, never 401: a token must not look wrong because a process is down.

Wrong credentials are counted by the address that sent them. Beyond the limit, what this worker does not know is refused
without a look-up; tokens that it knows, or knew, go on working from there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from chatvault.access.credential import digest, well_formed
from chatvault.access.failures import Failures
from chatvault.access.grant import Whose
from chatvault.access.limiter import MICRO
from chatvault.config.networks import place_of
from chatvault.core.errors import AuthenticationError, ChatVaultError, RateLimited, Unavailable
from chatvault.feed.messages import Granted
from chatvault.gateway.heading import Heading
from chatvault.gateway.hops import name_of
from chatvault.gateway.standing import Standing

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_MAX_GRANTS: Final = 12_000
"""Kept at a time, with what was decided for them: about 2 KB each. Others are looked up again, which takes 2 ms."""
_MAX_UNKNOWN: Final = 4096
_PATIENCE: Final = 5.0
"""Seconds a call waits for the answer to its look-up."""

_NO_GUESS: Final = ("unavailable", "expired")
"""Reasons for which nobody is blamed: the token is, or was, a good one."""

Tell = Callable[["Call", Standing | None, ChatVaultError | None], None]


class _Waiter(msgspec.Struct):
    """Who waits for a look-up, from where, until when. `call`: None once it has left."""

    call: "Call | None"
    place: str
    until: float


class Grants:
    """`ask` sends a look-up to control, and says whether control is there; `tell` tells a call that waited what came
    of it."""

    def __init__(self, ask: Callable[[bytes], bool], tell: Tell, now: Callable[[], float]) -> None:
        self.failures = Failures()
        self._ask = ask
        self._tell = tell
        self._now = now
        self._pepper = b""
        self.hop = b"?"
        """What this gateway is called among others; nothing that a call can carry until control says it."""
        self._known: dict[bytes, Standing] = {}
        self._former: dict[bytes, None] = {}
        """Digests of tokens that were good when they were looked up last: to ask again is no guess."""
        self._unknown: dict[bytes, str] = {}
        self._waiting: dict[bytes, list[_Waiter]] = {}
        self._unsaid: set[str] = set()
        """Tokens that were used since control was told, of those that expire when they are idle."""

    def begin(self, pepper: bytes) -> None:
        """A new connection to control: nothing that was known before is believed, and what is waited for is
        asked again."""
        if pepper != self._pepper:
            self._former.clear()
        self._pepper = pepper
        self.hop = name_of(pepper)
        self._known.clear()
        self._unknown.clear()
        for key in self._waiting:
            self._ask(key)

    def find(self, heading: Heading, call: "Call") -> Standing | None:
        """The grant that a request's credential stands for; None: the call has to wait, and is told. Raises
        AuthenticationError, Unavailable."""
        if heading.pepper is self._pepper:
            standing = self._known.get(heading.digest)
            if standing is not None and (standing.grant.idle is None or self._still_used(standing)):
                return standing
        credential = heading.credential
        if not credential:
            raise AuthenticationError(
                "No token was sent. Send one as 'Authorization: Bearer cv-...'.", code="token_missing"
            )
        key = heading.digest = digest(self._pepper, credential)
        heading.pepper = self._pepper
        standing = self._known.get(key)
        if standing is not None:
            if standing.grant.idle is None or self._still_used(standing):
                return standing
            del self._known[key]
        place = place_of(call.connection.address)
        if key not in self._former:
            self._refuse_guessing(place)
        if not well_formed(credential):
            self._failed(place)
            raise AuthenticationError(
                "This is not a token of this gateway: they begin with 'cv-'. Was it cut off, or mistyped?",
                code="token_malformed",
            )
        reason = self._unknown.get(key)
        if reason is not None:
            if reason not in _NO_GUESS:
                self._failed(place)
            raise _no_grant(reason)
        waiting = self._waiting.get(key)
        if waiting is None:
            if not self._pepper or not self._ask(key):
                raise _no_control()
            waiting = self._waiting[key] = []
        waiting.append(_Waiter(call, place, self._now() + _PATIENCE))
        call.connection.pause_reading()
        return None

    def granted(self, answer: Granted) -> None:
        """Control's answer to a look-up."""
        key = bytes.fromhex(answer.digest)
        grant, standing = answer.grant, None
        if grant is not None:
            if len(self._known) >= _MAX_GRANTS:
                del self._known[next(iter(self._known))]
            if len(self._former) >= _MAX_GRANTS:
                del self._former[next(iter(self._former))]
            self._known[key] = standing = Standing(grant)
            if grant.idle is not None:
                self._use(standing)
            self._former[key] = None
        elif answer.reason != "unavailable":
            if answer.reason not in _NO_GUESS:
                self._former.pop(key, None)
            if len(self._unknown) >= _MAX_UNKNOWN:
                self._unknown.pop(next(iter(self._unknown)))
            self._unknown[key] = answer.reason or "unknown"
        for waiter in self._waiting.pop(key, ()):
            error = None
            if standing is None:
                if answer.reason not in _NO_GUESS:
                    self._failed(waiter.place)
                error = _refused(answer.reason or "unknown")
            if waiter.call is not None:
                self._tell(waiter.call, standing, error)

    def take_used(self) -> tuple[str, ...]:
        """Tokens that were used since the last time, of those that expire when they are idle."""
        used, self._unsaid = tuple(self._unsaid), set()
        return used

    def _still_used(self, standing: Standing) -> bool:
        """Whether it was used here lately. Else control has to say whether it was used elsewhere."""
        idle = standing.grant.idle
        if idle is not None and self._now() - standing.used > idle / 1e6:
            return False
        self._use(standing)
        return True

    def _use(self, standing: Standing) -> None:
        standing.used = self._now()
        self._unsaid.update((standing.grant.token, *standing.grant.parents))

    def forget(self, whose: Whose) -> None:
        for key in [key for key, each in self._known.items() if each.grant.concerns(whose)]:
            del self._known[key]
        self._unknown.clear()

    def leave(self, call: "Call") -> None:
        """The call waits no more. If its token turns out to be wrong, it still counts."""
        for waiting in self._waiting.values():
            for waiter in waiting:
                if waiter.call is call:
                    waiter.call = None

    def _failed(self, place: str) -> None:
        self.failures.failed(place, int(self._now() * MICRO))

    def _refuse_guessing(self, place: str) -> None:
        """Raises RateLimited."""
        wait = self.failures.wait(place, int(self._now() * MICRO))
        if wait is not None:
            raise RateLimited(
                f"Too many tokens from this address were wrong, so none that is new here is looked at. Try again in "
                f"{wait} s.",
                code="too_many_failures",
                retry_after=wait,
            )

    def tick(self, now: float) -> None:
        """Give up on look-ups that take too long."""
        for key, waiting in [*self._waiting.items()]:
            late = [waiter for waiter in waiting if now > waiter.until]
            if late:
                self._waiting[key] = [waiter for waiter in waiting if waiter.until >= now]
                if not self._waiting[key]:
                    del self._waiting[key]
            for waiter in late:
                if waiter.call is not None:
                    self._tell(waiter.call, None, _no_control())


def _refused(reason: str) -> ChatVaultError:
    return _no_control() if reason == "unavailable" else _no_grant(reason)


def _no_grant(reason: str) -> AuthenticationError:
    if reason == "revoked":
        return AuthenticationError("This token was revoked. Ask for a new one.", code="token_revoked")
    if reason == "expired":
        return AuthenticationError(
            "This token was not used for so long that it has expired. Ask for a new one.",
            code="token_expired",
        )
    return AuthenticationError(
        "This token is not known here. Check that it belongs to this gateway.", code="token_unknown"
    )


def _no_control() -> Unavailable:
    return Unavailable(
        "The gateway cannot check tokens it has not seen yet: its control process is away. Try again in a "
        "few seconds.",
        code="control_unavailable",
        retry_after=2,
    )
