"""Citations, told as a chat message's annotations, whoever said them."""

from typing import Final

import msgspec

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
    """A citation as an annotation of a chat message."""
    if origin == "openai.chat":
        return object_of(decode(bytes(raw)))
    flat = flat_citation(raw, at)
    if flat is None:
        return None
    kind = str(flat.pop("type"))
    # Chat has no other kind; what points into a file has no address there
    # (https://platform.openai.com/docs/api-reference/chat/object, seen 2026-11).
    return {"type": kind, kind: flat} if kind == "url_citation" else None
