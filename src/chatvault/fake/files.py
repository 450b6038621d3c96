"""`/v1/files`: the one thing beside the counters that the simulated provider remembers."""

from collections import OrderedDict

import msgspec

from chatvault.fake.answer import Answer, Whole, json_answer
from chatvault.fake.errors import Refusal
from chatvault.fake.request import CREATED, Request

MOST_FILES = 100
"""Files kept; beyond that the oldest is forgotten."""


class Stored(msgspec.Struct, frozen=True):
    """A file and the object that describes it."""

    shown: dict[str, object]
    content: bytes


class Files:
    """The files of one provider."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, Stored] = OrderedDict()

    def create(self, request: Request) -> Answer:
        """Keeps an upload. Raises Refusal."""
        form = request.form()
        upload = form.upload("file")
        shown: dict[str, object] = {
            "id": "file-" + request.digest()[:24],
            "object": "file",
            "bytes": len(upload.content),
            "created_at": CREATED,
            "filename": upload.name,
            "purpose": form.fields.get("purpose", "user_data"),
            "status": "processed",
        }
        self._files[str(shown["id"])] = Stored(shown, upload.content)
        while len(self._files) > MOST_FILES:
            self._files.popitem(last=False)
        return json_answer(shown)

    def list(self, request: Request) -> Answer:
        """All files, the newest first."""
        data = [stored.shown for stored in reversed(self._files.values())]
        edges = (
            {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
            if data
            else {"first_id": None, "last_id": None}
        )
        return json_answer({"object": "list", "data": data, "has_more": False, **edges})

    def show(self, request: Request) -> Answer:
        """One file's description. Raises Refusal (404)."""
        return json_answer(self._find(request).shown)

    def content(self, request: Request) -> Answer:
        """One file's bytes. Raises Refusal (404)."""
        return Whole(body=self._find(request).content, content_type="application/octet-stream")

    def delete(self, request: Request) -> Answer:
        """Forgets a file. Raises Refusal (404)."""
        name = str(self._find(request).shown["id"])
        del self._files[name]
        return json_answer({"id": name, "object": "file", "deleted": True})

    def _find(self, request: Request) -> Stored:
        name = request.path.removeprefix("/v1/files/").removesuffix("/content")
        if name not in self._files:
            raise Refusal(404, f"There is no file {name!r}.", param="id", code="not_found")
        return self._files[name]
