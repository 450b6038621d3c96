"""Server-sent events: any cut, any line ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.wire.sse import EventSplitter, data_of, events

LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data:", b"data", b": ping", b"event: x", b"id: 1", b"datax: y", b"", b" "]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS), max_size=14).map(lambda lines: b"".join(a + b for a, b in lines))


def said(whole: list[bytes]) -> list[bytes]:
    return [data for event in whole if (data := data_of(event)) is not None]


def by_the_book(stream: bytes) -> list[bytes]:
    """What a reader of the whole stream finds, by the standard's algorithm; an event that is not ended is not said."""
    found, data = list[bytes](), list[bytes]()
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                found.append(b"\n".join(data))
            data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return found


def cut(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    splitter, whole = EventSplitter(), list[bytes]()
    places = [0, *sorted(min(each, len(stream)) for each in cuts), len(stream)]
    for a, b in pairwise(places):
        if out := splitter.feed(stream[a:b]):
            whole.append(out)
    return whole, bytes(splitter.partial)


@given(STREAMS, st.lists(st.integers(0, 120), max_size=8))
def test_any_cut_gives_the_same_events_and_loses_no_byte(stream: bytes, cuts: list[int]) -> None:
    for where in (cuts, [], list(range(len(stream)))):
        whole, partial = cut(stream, where)
        assert b"".join(whole) + partial == stream
        found = [event for packet in whole for event in events(packet)]
        assert b"".join(found) == b"".join(whole)
        assert said(found) == by_the_book(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_comes_out_with_its_last_byte(end: bytes) -> None:
    splitter, event = EventSplitter(), b"data: x" + end + end
    for at in range(len(event) - 1):
        out = splitter.feed(event[at : at + 1])
        if out:  # CR LF CR is an end already; its LF is an empty line more
            assert end == b"\r\n"
            assert at == len(event) - 2
            return
    assert splitter.feed(event[-1:]) == event


def test_a_packet_of_whole_events_passes_untouched() -> None:
    packet = b"data: a\n\ndata: b\n\n"
    assert EventSplitter().feed(packet) is packet


def test_events_of_a_packet() -> None:
    assert events(b"data: a\n\ndata: b\r\n\r\n: c") == [b"data: a\n\n", b"data: b\r\n\r\n", b": c"]
    assert events(b"data: a\n\n") == [b"data: a\n\n"]
    assert events(b"") == []


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\r\nid: 1\r\ndata: a\r\n\r\n", b"a"),
        (b"data:\n\n", b""),
        (b": data: a\n\n", None),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b"\n\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


def test_an_event_that_does_not_end_is_not_held_for_ever() -> None:
    splitter = EventSplitter(max_event=100)
    states = list[bool]()

    def feed(data: bytes) -> bytes:
        whole = splitter.feed(data)
        states.append(splitter.overflowed)
        return whole

    assert feed(b"data: " + b"x" * 90) == b""
    assert feed(b"x" * 10) == b""
    splitter.partial.clear()  # whoever feeds it passes on what is there
    assert feed(b"xx\n\ndata: a\n\n") == b"xx\n\ndata: a\n\n"
    feed(b"x" * 200)
    assert feed(b"\n\ny").endswith(b"x\n\n")
    assert states == [False, True, False, True, False]
