"""Whose turn it is among the keys of the vault for one provider account."""

from collections.abc import Mapping

from chatvault.config.snapshot import KeySnapshot
from chatvault.core.errors import Unavailable

_ALL = ""


class KeyTurns:
    """The keys of a call's project take turns, else those for all projects; else the configuration's credential signs,
    unless it is a provider with keys of the vault alone (`only`)."""

    __slots__ = ("_groups", "_next", "_only", "_provider")

    def __init__(self, provider: str, groups: Mapping[str, tuple[KeySnapshot, ...]], *, only: bool) -> None:
        self._provider = provider
        self._groups = groups
        self._only = only
        self._next: dict[str, int] = {}

    def take(self, project: str) -> KeySnapshot | None:
        """The key that signs the next call of a project; None: the configuration's credential does. Raises Unavailable
        where a key is wanted and none can be used."""
        owner = project if project in self._groups else _ALL
        group = self._groups.get(owner)
        if group is None and not self._only:
            return None
        if not group:
            raise Unavailable(
                f"The provider '{self._provider}' has no key that this call can be signed with; /health/details of the "
                "control plane says why.",
                code="provider_unusable",
                retry_after=5,
            )
        turn = self._next.get(owner, 0) % len(group)
        self._next[owner] = turn + 1
        return group[turn]


def turns_of(
    keys: Mapping[str, Mapping[str, tuple[KeySnapshot, ...]]], only: frozenset[str]
) -> dict[str, KeyTurns]:
    """By provider, of those that have keys in the vault, and of those that have no others."""
    return {name: KeyTurns(name, keys.get(name, {}), only=name in only) for name in {*keys, *only}}
