"""The top level of a JSON object: read in one way only, and changed in its named fields only."""

import json
import string
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError
from chatvault.wire.json_fields import Fields, scan, without_surrogates

DECIDED = frozenset(("model", "stream", "stream_options", "max_tokens", "n"))

BLANK = st.text(" \t\r\n", max_size=3)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
VALUE: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def encoded(draw: st.DrawFn, value: object) -> str:
    """One of the many ways to write a value as JSON."""

    def blank() -> str:
        return draw(BLANK)

    if isinstance(value, dict):
        members = [
            f"{blank()}{draw(encoded(key))}{blank()}:{blank()}{draw(encoded(each))}{blank()}"
            for key, each in value.items()
        ]
        return "{" + (",".join(members) or blank()) + "}"
    if isinstance(value, list):
        return "[" + (",".join(f"{blank()}{draw(encoded(each))}{blank()}" for each in value) or blank()) + "]"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        if value and draw(st.booleans()):
            text = '"' + "".join(f"\\u{ord(c):04X}" if ord(c) < 0x10000 else c for c in value) + '"'
        return text
    return json.dumps(value)


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, object], bytes]:
    keys = st.sampled_from([*sorted(DECIDED), "messages", "x", "model2"]) | TEXT
    value = draw(st.dictionaries(keys, VALUE, max_size=6))
    assume(not any(key.casefold() in DECIDED and key not in DECIDED for key in value))
    return value, (draw(BLANK) + draw(encoded(value)) + draw(BLANK)).encode()


def joined(fields: Fields, changes: dict[str, bytes]) -> bytes:
    patched = fields.patched(changes)
    return patched if isinstance(patched, bytes) else b"".join(patched)


@given(documents())
def test_fields_are_those_of_the_document(document: tuple[dict[str, object], bytes]) -> None:
    value, body = document
    fields = scan(body, DECIDED)
    assert {name: json.loads(bytes(raw)) for name, raw in fields.values.items()} == value
    for name, (start, end) in fields.spans.items():
        assert body[start:end] == bytes(fields.values[name])


@given(documents(), st.dictionaries(st.sampled_from(sorted(DECIDED)), VALUE, max_size=3))
def test_patched_changes_what_it_names_and_not_a_byte_more(
    document: tuple[dict[str, object], bytes], changes: dict[str, object]
) -> None:
    value, body = document
    fields = scan(body, DECIDED)
    new = {name: json.dumps(each).encode() for name, each in changes.items()}
    patched = joined(fields, new)
    assert json.loads(patched) == {**value, **changes}
    assert len(json.loads(patched, object_pairs_hook=list)) == len(value | changes)  # each key once
    # Taking the changes back gives the very bytes.
    again = scan(patched, DECIDED)
    old = {name: bytes(fields.values[name]) for name in changes if name in fields.values}
    restored = joined(again, old)
    added = b",".join(b'"%s":%s' % (name.encode(), new[name]) for name in new if name not in fields.values)
    if added:
        head = restored.index(b"{") + 1
        added += b"," if fields.values else b""
        assert restored[head:].startswith(added)
        restored = restored[:head] + restored[head + len(added) :]
    assert restored == body


@given(documents(), st.sets(st.sampled_from(sorted(DECIDED))), st.booleans())
def test_what_is_taken_out_leaves_the_rest_as_it_was(
    document: tuple[dict[str, object], bytes], without: set[str], more: bool
) -> None:
    value, body = document
    fields = scan(body, DECIDED)
    changes = {"added": b'"x"'} if more else {}
    parts = fields.patched(changes, without)
    patched = parts if isinstance(parts, bytes) else b"".join(parts)
    left = {name: each for name, each in value.items() if name not in without}
    assert json.loads(patched) == left | ({"added": "x"} if more else {})
    assert len(json.loads(patched, object_pairs_hook=list)) == len(left) + more
    again = scan(patched, DECIDED)
    assert all(bytes(again.values[name]) == bytes(fields.values[name]) for name in left)
    if not without & value.keys() and not more:
        assert patched == body


PLAIN_KEYS = st.sampled_from(
    [*sorted(DECIDED), "messages", "x", "model2", "a_b", "Model3", "a b", 'a"b', "\\\\"]
)


@given(
    st.lists(st.tuples(PLAIN_KEYS, VALUE), max_size=5),
    st.sampled_from([(", ", ": "), (",", ":")]),
    st.data(),
)
def test_bodies_as_clients_write_them_are_read_and_patched_as_all_others(
    members: list[tuple[str, object]], spacing: tuple[str, str], data: st.DataObject
) -> None:
    """Keys may occur twice here, and one border may be spaced otherwise than the rest."""
    comma, colon = spacing
    texts = [f"{json.dumps(key)}{colon}{json.dumps(value, separators=spacing)}" for key, value in members]
    odd = data.draw(st.sampled_from([comma, ",", ", ", " , "]))
    text = "{" + odd.join((comma.join(texts[:2]), *texts[2:]) if texts else ()) + "}"
    names = [key for key, _ in members]
    if len(set(names)) != len(names):
        with pytest.raises(ClientError) as caught:
            scan(text.encode(), DECIDED)
        assert caught.value.code == "duplicate_field"
        return
    fields = scan(text.encode(), DECIDED)
    assert {name: json.loads(bytes(raw)) for name, raw in fields.values.items()} == dict(members)
    for name in names:
        start, end = fields.spans[name]
        patched = joined(fields, {name: b'"new"'})
        assert patched == text.encode()[:start] + b'"new"' + text.encode()[end:]


def test_a_large_body_is_sliced_and_not_copied() -> None:
    body = b'{"a": "%s", "model": "x", "b": 1}' % (b"y" * 100_000)
    parts = scan(body, DECIDED).patched({"model": b'"z"', "stream": b"true"})
    assert isinstance(parts, list)
    assert any(isinstance(part, memoryview) and part.obj is body for part in parts)
    assert b"".join(parts) == body.replace(b"{", b'{"stream":true,', 1).replace(b'"x"', b'"z"')


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":22}',
        b'{"a":22,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1 , "\\u0061":2}',
        b'{"model":"x","stream":true,"model":"y"}',
        b'{"a":{},"a":{}}',
        b'{"":1,"":2}',
        b'{"a":3,"a":3,"b":2}',
        b'{"a":12,"a":1}',
        # The last value, laid where the first one is, ends at a place that looks like another border.
        b'{"a":1,"b":{"c":0,      "b":0},"a":"0123456789"}',
        b'{"model":"x","m":[{"a":"b"}, "m":1],"model":"y"}'.replace(b', "m":1', b""),
    ],
)
def test_a_key_that_occurs_twice_is_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        scan(body, DECIDED)
    assert caught.value.code == "duplicate_field"


@given(documents(), st.data())
def test_a_key_that_occurs_twice_is_refused_wherever_it_is(
    document: tuple[dict[str, object], bytes], data: st.DataObject
) -> None:
    value, body = document
    assume(value)
    name = data.draw(st.sampled_from(sorted(value)))
    start = scan(body, DECIDED).spans[name]
    key, again = json.dumps(name).encode(), data.draw(encoded(data.draw(VALUE))).encode()
    place = data.draw(st.sampled_from(["first", "last", "behind"]))
    if place == "first":
        twice = body.replace(b"{", b"{" + key + b":" + again + b",", 1)
    elif place == "last":
        end = body.rindex(b"}")
        twice = body[:end] + b"," + key + b":" + again + body[end:]
    else:
        twice = body[: start[1]] + b"," + key + b":" + again + body[start[1] :]
    json.loads(twice)
    with pytest.raises(ClientError) as caught:
        scan(twice, DECIDED)
    assert caught.value.code == "duplicate_field"


def test_duplicates_that_are_built_to_be_overlooked() -> None:
    """All ways to lay a nested object so that a walk by lengths alone would come out right at the end."""
    for blanks in range(30):
        for size in range(30):
            for inner in (b'"b":0', b'"a":0', b'"c":0'):
                body = b'{"a":1,"b":{"c":0,%s%s},"a":"%s"}' % (b" " * blanks, inner, b"0" * size)
                with pytest.raises(ClientError):
                    scan(body, DECIDED)


@pytest.mark.parametrize(
    "key", ["Model", "MODEL", "\u017ftream", "\\u017ftream", "STREAM", "N", "\\u004e", "Stream_Options"]
)
def test_a_key_that_differs_in_case_only_is_refused(key: str) -> None:
    for body in (f'{{"{key}":1}}', f'{{"model":"x","{key}":1}}'):
        with pytest.raises(ClientError) as caught:
            scan(body.encode(), DECIDED)
        assert caught.value.code == "ambiguous_field"
        assert caught.value.param in DECIDED


@pytest.mark.parametrize("key", ["models", "model ", "mode\\u006c", "Messages", "\u043codel", ""])
def test_a_key_that_is_another_passes(key: str) -> None:
    name = json.loads(f'"{key}"')
    assert set(scan(f'{{"{key}":1}}'.encode(), DECIDED).values) == {name}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b" ", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"\xff\xfe{\0}\0", "invalid_utf8"),
        (b"[]", "invalid_json"),
        (b'"model"', "invalid_json"),
        (b"null", "invalid_json"),
        (b'{"a":1}{"b":2}', "invalid_json"),
        (b'{"a":1}x', "invalid_json"),
        (b'{"a":1,}', "invalid_json"),
        (b"{a:1}", "invalid_json"),
        (b"{'a':1}", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b'{"a":Infinity}', "invalid_json"),
        (b'{"a":01}', "invalid_json"),
        (b'{"a":"\n"}', "invalid_json"),
        (b'{"a":"\\x41"}', "invalid_json"),
        (b'{"a":1//b\n}', "invalid_json"),
        (b'{"a":"\\ud800', "invalid_json"),
        (b'["\\ud800"]', "invalid_json"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b'{"a":"\xc0\xaf"}', "invalid_utf8"),
        (b'{"a":"\xed\xa0\x80"}', "invalid_utf8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "json_too_deep"),
        (b'{"a":' * 100_000, "json_too_deep"),
        (b'{"b":"\\ud800","a":' + b"[" * 100_000, "json_too_deep"),
    ],
)
def test_what_is_not_one_json_object_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        scan(body, DECIDED)
    assert (caught.value.http_status, caught.value.code) == (400, code)


@given(st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
def test_whatever_comes_it_is_read_or_refused(body: bytes) -> None:
    try:
        fields = scan(body, DECIDED)
    except ClientError:
        return
    assert set(json.loads(body)) == set(fields.values)


def test_lone_surrogates_pass() -> None:
    body = b'{"\\ud800":1, "\\udc00" : 2,"model":"x","m":"\\ud83d\\ude00 \\\\ud800 \\ud83d"}'
    fields = scan(body, DECIDED)
    assert bytes(fields.values["model"]) == b'"x"'
    assert bytes(fields.values["m"]) == b'"\\ud83d\\ude00 \\\\ud800 \\ud83d"'  # the client's own bytes
    assert joined(fields, {"model": b'"y"'}) == body.replace(b'"x"', b'"y"')
    with pytest.raises(ClientError, match="twice"):
        scan(b'{"\\ud800":1,"\\ud800":2}', DECIDED)
    assert without_surrogates(b'"plain"') is None


def test_a_key_as_long_as_a_body_costs_no_more_than_its_length() -> None:
    for key in (b"a" * 2_000_000, b"\\n" * 1_000_000):
        body = b'{"%s":1}' % key
        tracemalloc.start()
        scan(body, DECIDED)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30 * len(body)
