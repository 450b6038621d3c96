"""Any request of this dialect goes back to it as it came."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.hub.dropped import Dropped
from tests.wire.anthropic.plain import plain_request

WORDS = st.text('abcü \n"{', max_size=8)
IDS = st.text("ab_1", min_size=1, max_size=6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
MARKERS = st.sampled_from(
    [
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "5m"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "new"},
    ]
)
UNHEARD = st.dictionaries(
    st.sampled_from(["future_a", "future_b"]), VALUES.filter(lambda value: value is not None), max_size=1
)


def block(
    kind: str, *, marked: bool = True, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    optional = {"cache_control": MARKERS} if marked else {}
    known = st.fixed_dictionaries({"type": st.just(kind), **fields}, optional=optional)
    return st.builds(lambda one, two: one | two, known, UNHEARD)


def source(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional={"detail": WORDS})


TEXT = block("text", text=WORDS) | block(
    "text", text=WORDS, citations=st.lists(VALUES, min_size=1, max_size=2)
)
SOURCES = (
    source("base64", media_type=WORDS, data=WORDS)
    | source("url", url=WORDS)
    | source("file", file_id=WORDS)
    | source("new", x=VALUES)
)
IMAGE = block("image", source=SOURCES)
DOCUMENT = block(
    "document",
    title=WORDS,
    source=SOURCES
    | source("text", media_type=WORDS, data=WORDS)
    | source("content", content=WORDS | st.lists(TEXT | IMAGE, max_size=2)),
)
FOUND = block("search_result", title=WORDS, source=WORDS, content=st.lists(TEXT, max_size=2))
NEW = block("from_the_future", x=VALUES)
INNER = st.lists(TEXT | IMAGE | DOCUMENT | FOUND | NEW, max_size=3)
RESULT = block("tool_result", tool_use_id=IDS, content=INNER | WORDS, is_error=st.booleans())
USER = TEXT | IMAGE | DOCUMENT | FOUND | NEW | RESULT
ASSISTANT = (
    TEXT
    | NEW
    | block("tool_use", id=IDS, name=IDS, input=st.dictionaries(WORDS, VALUES, max_size=3))
    | block("thinking", marked=False, thinking=WORDS, signature=WORDS)
    | block("redacted_thinking", marked=False, data=WORDS)
    | block("server_tool_use", id=IDS, name=IDS, input=st.dictionaries(WORDS, VALUES, max_size=3))
)


def message(role: str, blocks: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"role": st.just(role), "content": WORDS | st.lists(blocks, max_size=4)})


TOOL = st.builds(
    lambda one, two: one | two,
    st.fixed_dictionaries(
        {"name": IDS, "input_schema": st.dictionaries(WORDS, VALUES, max_size=2)},
        optional={"description": WORDS, "strict": st.booleans(), "cache_control": MARKERS},
    ),
    UNHEARD,
) | st.fixed_dictionaries({"type": st.sampled_from(["web_search_20250305", "bash_1"]), "name": IDS})
THINKING = (
    st.just({"type": "disabled"})
    | st.fixed_dictionaries(
        {"type": st.just("adaptive")}, optional={"display": st.sampled_from(["summarized", "omitted", "new"])}
    )
    | st.fixed_dictionaries({"type": st.just("enabled"), "budget_tokens": st.integers(1, 99_999)})
)
FORMAT = st.fixed_dictionaries(
    {"type": st.just("json_schema"), "schema": st.dictionaries(WORDS, VALUES, max_size=3)}
)
REQUEST = st.fixed_dictionaries(
    {
        "model": IDS,
        "max_tokens": st.integers(1, 99_999),
        "messages": st.lists(
            message("user", USER) | message("assistant", ASSISTANT) | message("system", TEXT), max_size=4
        ),
    },
    optional={
        "system": WORDS | st.lists(TEXT, min_size=1, max_size=2),
        "tools": st.lists(TOOL, max_size=3),
        "tool_choice": st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any"])}, optional={"disable_parallel_tool_use": st.booleans()}
        ),
        "thinking": THINKING,
        "output_config": st.fixed_dictionaries(
            {"effort": st.sampled_from(["low", "max"])},
            optional={"format": FORMAT, "task_budget": VALUES.filter(bool)},
        ),
        "stop_sequences": st.lists(WORDS, max_size=2),
        "temperature": st.floats(0, 1),
        "top_k": st.integers(0, 99),
        "stream": st.booleans(),
        "service_tier": st.sampled_from(["auto", "standard_only", "new"]),
        "metadata": st.fixed_dictionaries({"user_id": WORDS}, optional={"new": WORDS}),
        "container": IDS,
    },
)


@given(REQUEST)
def test_requests_come_back(request: dict[str, Any]) -> None:
    dropped = Dropped()
    body = json.dumps(request).encode()
    written = json.loads(MESSAGES.write_request(MESSAGES.read_request(body), dropped))
    assert plain_request(written) == plain_request(request)
    assert not dropped
