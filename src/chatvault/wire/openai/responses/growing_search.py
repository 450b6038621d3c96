"""The item of a search of the web while the search goes on, and the events that tell of it."""

from chatvault.wire.hub.events import PartEvent
from chatvault.wire.hub.parts import AnyPart
from chatvault.wire.hub.search import Search
from chatvault.wire.openai.responses.growing import GrowingItem, Told
from chatvault.wire.openai.responses.searches import CALL, search_action, search_item


class SearchItem(GrowingItem):
    __slots__ = ("_queries",)

    def __init__(self, at: int, search: Search) -> None:
        item = search_item(search)
        super().__init__(str(item["id"]), at, {**item, "status": "in_progress"})
        self._queries = search.queries

    def announce(self, out: list[Told]) -> None:
        super().announce(out)
        out += [self._told(f"{CALL}.in_progress"), self._told(f"{CALL}.searching")]

    def found(self, search: Search, out: list[Told]) -> None:
        """What it found; the item ends."""
        if self._ended:
            return
        asked = Search(id=search.id, queries=search.queries or self._queries, sources=search.sources)
        self.fields["action"] = search_action(asked)
        self.fields["status"] = "completed" if search.failed is None else "failed"
        out.append(self._told(f"{CALL}.completed"))
        self.end(out)

    def _close(self, out: list[Told]) -> None:
        if self.fields["status"] == "in_progress":
            self.fields["status"] = "incomplete"

    def takes(self, part: AnyPart) -> bool:
        return False

    def begin(self, index: int, part: AnyPart, out: list[Told]) -> None:
        """No text is added to it."""

    def more(self, event: PartEvent, out: list[Told]) -> None:
        """No text is added to it."""
