"""Requests and answers of every dialect, and what strangers make of them: members dropped, replaced, nested, of the
wrong type."""

import copy
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st

Path = tuple[str | int, ...]

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 3, 1.5, -0.5, 1e308, 1 << 62, 1 << 63, 1 << 64, -(1 << 63), 10**30, "", "x", "user",
    "\ud83d", "\0", "é", "data:image/png;base64,!!", "[1]", "{", [], {}, [[]], [None], [{}], {"": None}, {"type": "x"},
    ["x"], [1], {"text": 1}, {"type": "text"}, {"type": ["text"]}, [{"type": None}], {"a": {"b": [{"c": None}]}},
)  # fmt: skip
"""What may stand in place of any value."""


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Of every value within."""
    if here:
        yield here
    members: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, each in members:
        yield from paths(each, (*here, name))


@st.composite
def mutated(draw: st.DrawFn, samples: list[Any], most: int = 3) -> Any:
    """One of the samples, changed in up to `most` places."""
    value = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, most))):
        places = list(paths(value))
        if places:
            _change(draw, value, draw(st.sampled_from(places)))
    return value


def _change(draw: st.DrawFn, value: Any, path: Path) -> None:
    holder: Any = value
    last: Any = path[-1]
    for step in path[:-1]:
        holder = holder[step]
    act = draw(st.sampled_from(("replace", "replace", "drop", "nest", "list", "twice", "rename")))
    if act == "drop":
        del holder[last]
    elif act == "replace":
        holder[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    elif act == "nest":
        holder[last] = {"type": "text", "content": holder[last]}
    elif act == "list":
        holder[last] = [holder[last]]
    elif act == "twice" and isinstance(holder, list):
        holder.insert(last, copy.deepcopy(holder[last]))
    elif isinstance(holder, dict):
        holder[draw(st.sampled_from(("type", "role", "content", "text", "name", "x")))] = holder.pop(last)
