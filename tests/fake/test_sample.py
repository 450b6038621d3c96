"""Values that fit a schema, and the texts and tokens of the simulated model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.fake.sample import sample
from chatvault.fake.text import count_prompt, pieces, sentence


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "sample value"),
        (True, "sample value"),
        (False, None),
        ({"const": 3}, 3),
        ({"default": "d", "type": "string"}, "d"),
        ({"enum": ["x", "y"]}, "x"),
        ({"type": "string", "format": "date"}, "2025-06-15"),
        ({"type": "string", "minLength": 15}, "sample value..."),
        ({"type": "string", "maxLength": 3}, "sam"),
        ({"type": ["integer", "null"], "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5, "multipleOf": 2}, 6),
        ({"type": "integer", "maximum": -4}, -4),
        ({"type": "number", "exclusiveMaximum": 1}, 0.0),
        ({"type": "number", "minimum": 0.5, "maximum": 0.75}, 0.625),
        ({"type": "integer", "exclusiveMinimum": 4, "multipleOf": 4}, 8),
        ({"type": "integer", "minimum": 10, "exclusiveMaximum": 12}, 10),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 1),
        (
            {
                "allOf": [{"properties": {"a": {"const": 1}}}, {"$ref": "#/$defs/b"}],
                "$defs": {"b": {"properties": {"b": {"const": 2}}}},
            },
            {"a": 1, "b": 2},
        ),
        ({"allOf": [{"type": "integer"}]}, 1),
    ],
)
def test_a_sample_fits_its_schema(schema: object, value: object) -> None:
    assert sample(schema) == value


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    link = {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    node: dict[str, object] = {
        "type": "object",
        "properties": {
            "next": link,
            "all": {"type": "array", "items": {"$ref": "#"}},
            "spare": {"$ref": "#"},
        },
        "required": ["next"],
    }
    assert "next" in sample(node)
    endless = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    assert "self" in sample(endless)
    maybe = {"type": ["object", "null"], "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    assert "self" in sample(maybe)


@given(st.text())
def test_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_sentences_differ_and_repeat() -> None:
    assert sentence("a") == sentence("a") != sentence("b")
    assert 12 <= len(sentence("a").split()) <= 27


def test_prompt_tokens() -> None:
    assert [count_prompt(0), count_prompt(1), count_prompt(8, 2), count_prompt(9, 0)] == [4, 5, 10, 3]
