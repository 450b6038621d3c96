"""Searches of the web that a provider runs by itself: what was asked for, what was found, what was cited."""

from typing import Final

import msgspec

from chatvault.wire.hub.dropped import Dropped

PLACE: Final = ("city", "country", "region", "timezone")
"""What a location is made of, in the words that all dialects have in common."""


class WebSearch(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """How to search. `place` is where the user is, about; `names` are what the client calls each of the options
    below its definition, where it calls them otherwise than here. `other` are those nobody else has."""

    context_size: str | None = None
    max_uses: int | None = None
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    place: dict[str, str] = {}
    names: dict[str, str] = {}
    other: tuple[str, ...] = ()

    def drop(self, path: str, dropped: Dropped, *fields: str) -> None:
        """Report those of `fields` that were said, and `other`."""
        for field in fields:
            if getattr(self, field):
                dropped.add(f"{path}.{self.names.get(field, field)}")
        for name in self.other:
            dropped.add(f"{path}.{name}")


class Source(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A page that was found; `age` in the provider's words."""

    url: str
    title: str | None = None
    age: str | None = None


class Search(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A search that was made. Some dialects tell what was asked (`asks`) and what was found (`found`) in one part,
    some in two with the same `id`. `failed` is why nothing was found."""

    id: str
    queries: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    asks: bool = False
    found: bool = False
    failed: str | None = None
    other: tuple[str, ...] = ()
    """Members of the part that say more than this."""


class Citation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A page that a text refers to. `text` are the page's words; `start` and `end` the place in the answer's text
    that rests on it, counted in characters from the beginning of its part. None: not told."""

    url: str
    title: str | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None
