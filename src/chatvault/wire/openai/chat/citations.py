"""Citations, told as a chat message's annotations, whoever said them."""

from typing import Final

import msgspec

from chatvault.wire.hub.search import Citation
from chatvault.wire.json_value import Values, decode, name_of, number_of, object_of

_PLACES: Final = ("url", "uri", "source", "document_url")
_NAMES: Final = ("title", "document_title", "filename", "name")


def flat_citation(raw: msgspec.Raw, at: int) -> Values | None:
    """A citation as `openai.responses` has it; `at` is the length of the text so far, for one that does not
    say its place. None for what points to nothing that has an address."""
    try:
        said = object_of(decode(bytes(raw)))
    except ValueError:
        return None
    inner = next((said[name] for name in ("url_citation", "file_citation", "web") if name in said), None)
    said = {**said, **object_of(inner)}
    kind = said.get("type")
    if kind in ("file_citation", "container_file_citation", "file_path"):
        return {name: value for name, value in said.items() if name != kind}
    url = next((url for name in _PLACES if (url := name_of(said.get(name)))), None)
    if url is None:
        return None
    title = next((title for name in _NAMES if (title := name_of(said.get(name)))), "")
    start = number_of(said.get("start_index", said.get("startIndex")))
    end = number_of(said.get("end_index", said.get("endIndex")))
    return {
        "type": "url_citation",
        "start_index": start if start is not None else at,
        "end_index": end if end is not None else at,
        "title": title,
        "url": url,
    }


def annotation(raw: msgspec.Raw, origin: str, at: int) -> Values | None:
    """A citation of one of OpenAI's dialects as an annotation of a chat message."""
    if origin == "openai.chat":
        return object_of(decode(bytes(raw)))
    flat = flat_citation(raw, at)
    return nested(flat) if flat is not None else None


def nested(flat: Values) -> Values | None:
    """Chat has no other kind; what points into a file has no address there
    (https://platform.openai.com/docs/api-reference/chat/object, seen 2026-11)."""
    kind = str(flat.pop("type"))
    return {"type": kind, kind: flat} if kind == "url_citation" else None


def citations_in(said: Values) -> tuple[Citation, ...]:
    """Of an annotation of either dialect, in nobody's shape."""
    said = {**said, **object_of(said.get("url_citation"))}
    url = name_of(said.get("url"))
    if url is None:
        return ()
    start, end = number_of(said.get("start_index")), number_of(said.get("end_index"))
    if start is None or end is None or not 0 <= start < end:
        start = end = None
    return (Citation(url=url, title=name_of(said.get("title")), start=start, end=end),)


def flat(cited: Citation, begin: int, end: int) -> Values:
    """A page that another dialect's text refers to, as `openai.responses` has it. `begin` and `end` are the part's
    own: all of it rests on a page that does not say its place."""
    if cited.start is not None and cited.end is not None:
        begin, end = begin + cited.start, begin + cited.end
    return {
        "type": "url_citation",
        "start_index": begin,
        "end_index": end,
        "title": cited.title or "",
        "url": cited.url,
    }
