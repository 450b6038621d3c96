"""From the public name a client asks for to the target that answers it."""

from collections.abc import Callable, Container, Iterable, Mapping
from difflib import get_close_matches
from typing import Final

import msgspec

MAX_NAME: Final = 256
"""Characters of a model name; no longer one is routed."""
_MAX_CACHED: Final = 4096


class Target(msgspec.Struct, frozen=True, gc=False):
    """One provider account and one of its models. `model` is the name there; None for an endpoint that has
    none.
    """

    provider: str
    model: str | None
    renamed: bool
    """The public name differs from `model`, so the request must be patched."""


class Directory:
    """All names that can be routed: configured models first, then `provider/model`, then what providers are
    known to have, and last the default provider. Names come from clients, so what is remembered of them is
    bounded.
    """

    def __init__(
        self,
        models: Mapping[str, tuple[str, str]],
        known: Mapping[str, Iterable[str]],
        providers: Iterable[str],
        default_provider: str | None,
        prefixed: Container[str] = (),
    ) -> None:
        """`models`: public name to (provider, model there). `known`: by provider, names it has. `providers`:
        in order of preference. `prefixed`: providers whose models answer to `provider/model` alone.
        """
        self._models = models
        self._known = {provider: tuple(names) for provider, names in known.items()}
        self._providers = tuple(providers)
        self._default = default_provider
        self._owners: dict[str, str] = {}
        for provider in self._providers:
            if provider not in prefixed:
                for name in self._known.get(provider, ()):
                    self._owners.setdefault(name, provider)
        self._cached: dict[str, Target | None] = {}

    @property
    def default_provider(self) -> str | None:
        return self._default

    def find(self, name: str) -> Target | None:
        """The target of a public name; None if there is none."""
        try:
            return self._cached[name]
        except KeyError:
            pass
        if len(name) > MAX_NAME:
            return None
        target = self._find(name)
        if len(self._cached) >= _MAX_CACHED:
            self._cached.clear()
        self._cached[name] = target
        return target

    def _find(self, name: str) -> Target | None:
        if name in self._models:
            provider, model = self._models[name]
            return Target(provider, model, model != name)
        provider, slash, model = name.partition("/")
        if slash and model and provider in self._providers:
            return Target(provider, model, True)
        owner = self._owners.get(name, self._default)
        return Target(owner, name, False) if owner is not None and name else None

    def names(self, allowed: Callable[[str], bool]) -> list[tuple[str, str]]:
        """(public name, provider) of every model that `allowed` lets through."""
        found = {name: provider for name, (provider, _) in self._models.items()}
        for provider in self._providers:
            for name in self._known.get(provider, ()):
                found.setdefault(f"{provider}/{name}", provider)
        return [(name, provider) for name, provider in found.items() if allowed(name)]

    def nearest(self, name: str, allowed: Callable[[str], bool], most: int = 3) -> list[str]:
        """Names that look like `name`, among those that `allowed` lets through."""
        names = [each for each, _ in self.names(allowed)]
        return get_close_matches(name[:MAX_NAME], names, n=most, cutoff=0.5) or names[:most]
