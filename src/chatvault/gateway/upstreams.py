"""The providers as a worker calls them: a pool, the fields that sign a call, and the path below their base
URL."""

import copy
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from chatvault.config.snapshot import AccessToken, KeySnapshot, ProviderSnapshot
from chatvault.core.errors import OperatorError
from chatvault.core.seam import Header, Request
from chatvault.gateway.outbound import hidden_fields, outbound_query
from chatvault.net.origin import parse_origin
from chatvault.net.pool import Pool
from chatvault.net.proxy import parse_proxy
from chatvault.net.tls import client_context
from chatvault.providers import bedrock, vertex
from chatvault.providers.azure import DEPLOYMENTS, deployment_path, versioned
from chatvault.providers.signer import NO_TOKENS, signer_of

_FIELD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+: [\t -~\x80-\xff]*")
_PREFIX: Final = len(b"/v1")
_MESSAGES: Final = b"/messages"


class Upstream:
    """One provider account. `headers` carry its credential, where it is the same for all requests."""

    __slots__ = ("_base", "_family", "_keyed", "_query", "_signer", "headers", "hidden", "pool", "provider")

    def __init__(
        self,
        provider: ProviderSnapshot,
        family: str,
        context: Callable[[str | None], ssl.SSLContext],
        tokens: Mapping[str, AccessToken] = NO_TOKENS,
    ) -> None:
        """`tokens` has those that calls are signed with, by provider; it changes as they do. Raises OperatorError for a
        base URL, proxy or CA file that cannot be used."""
        face = provider.faces.get(family)
        base_url, headers = (face.base_url, face.headers) if face else (provider.base_url, provider.headers)
        origin = parse_origin(base_url)
        self.provider = provider
        self._family = family
        self._keyed: dict[str, Upstream] = {}
        self._signed_with(headers)
        self._base = origin.path.encode()
        self._query = provider.query.encode()
        self._signer = signer_of(provider, tokens)
        self.pool = Pool(
            origin,
            provider.timeouts,
            context=context(provider.ca_file) if origin.tls else None,
            proxy=parse_proxy(provider.proxy) if provider.proxy and origin.socket is None else None,
        )

    def _signed_with(self, headers: Mapping[str, str]) -> None:
        self.headers: list[Header] = [
            (name.lower().encode(), value.encode()) for name, value in headers.items()
        ]
        self.hidden = hidden_fields(self.headers)
        for name, value in self.headers:
            if _FIELD.fullmatch(name + b": " + value) is None:
                raise OperatorError(
                    f"The provider {self.provider.name} is given a header field {name.decode()!r} that HTTP does not "
                    "allow. Check its headers and its key for line ends and the like.",
                    code="bad_header",
                )

    def keyed(self, key: KeySnapshot) -> "Upstream":
        """The same provider over the same pool, asked with a key of the vault. Raises OperatorError for one that no
        header field can hold."""
        found = self._keyed.get(key.id)
        if found is None:
            found = copy.copy(self)
            headers = key.headers.get(self._family)
            found._signed_with(next(iter(key.headers.values())) if headers is None else headers)
            self._keyed[key.id] = found
        return found

    def forget_keys(self) -> None:
        """The vault's keys have changed."""
        self._keyed.clear()

    def target(self, path: bytes, query: bytes, model: str | None = None, stream: bool = False) -> bytes:
        """The request target: what stands behind `/v1` in the client's, below the provider's base path.
        `model` is its name at the provider, for those that have it in the path, as some have whether the answer is
        streamed."""
        return self.below(path[_PREFIX:], outbound_query(query), model, stream)

    def below(self, path: bytes, query: bytes, model: str | None = None, stream: bool = False) -> bytes:
        """The request target of a path below the provider's base path."""
        style = self.provider.path_style
        if style == DEPLOYMENTS:
            path = deployment_path(path, model)
        elif style == vertex.STYLE and path.startswith(_MESSAGES):
            path, query = vertex.anthropic_path(path, model, stream), b""  # it has no `?beta=true` there
        elif style == bedrock.STYLE:
            path, query = bedrock.anthropic_path(path, model, stream), b""
        if self._query:
            query = versioned(query, self._query)
        return self._base + path + query

    @property
    def signs(self) -> bool:
        """Each request is given its own credential."""
        return self._signer is not None

    def signed(self, request: Request, now_us: int) -> Request:
        """The request as it is sent at that time. Raises GatewayError or UpstreamError where it cannot be signed."""
        if self._signer is None:
            return request
        fields = self._signer.fields(request, self.pool.origin.authority, now_us)
        return msgspec.structs.replace(request, headers=[*request.headers, *fields])


class Contexts:
    """One TLS context a CA file, since making one reads the system's trust store (tens of milliseconds)."""

    def __init__(self) -> None:
        self._made: dict[str | None, ssl.SSLContext] = {}

    def __call__(self, ca_file: str | None) -> ssl.SSLContext:
        if ca_file not in self._made:
            self._made[ca_file] = client_context(ca_file)
        return self._made[ca_file]
