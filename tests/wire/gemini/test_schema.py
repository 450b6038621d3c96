"""Schemas: OpenAPI's words and JSON Schema's, both ways."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.wire.gemini.schema import for_response, to_gemini, to_json_schema


def test_openapis_words() -> None:
    assert to_json_schema(
        {
            "type": "OBJECT",
            "nullable": True,
            "max_properties": "3",
            "properties": {
                "a": {"type": "STRING", "enum": ["x"], "nullable": True, "example": "x"},
                "b": {"any_of": [{"type": "INTEGER"}], "nullable": True},
                "c": {"type": "ARRAY", "items": {"type": "TYPE_UNSPECIFIED"}, "minItems": "1"},
                "d": {"ref": "#/$defs/d"},
            },
            "property_ordering": ["b", "z"],
            "additionalProperties": {"type": "NUMBER"},
            "defs": {"d": {"type": "BOOLEAN"}},
        }
    ) == {
        "type": ["object", "null"],
        "maxProperties": 3,
        "properties": {
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "a": {"type": ["string", "null"], "enum": ["x", None], "examples": ["x"]},
            "c": {"type": "array", "items": {}, "minItems": 1},
            "d": {"$ref": "#/$defs/d"},
        },
        "additionalProperties": {"type": "number"},
        "$defs": {"d": {"type": "boolean"}},
    }


def test_the_order_of_an_answers_properties_is_kept() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"b": {"type": "string"}, "a": {"type": "string"}},
    }
    said = to_gemini(schema, ordered=True)
    assert said is not None
    assert said["propertyOrdering"] == ["b", "a"]
    back = to_json_schema(said)
    assert isinstance(back["properties"], dict)
    assert list(back["properties"]) == ["b", "a"]
    assert "propertyOrdering" not in (to_gemini(schema, ordered=False) or {})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a"},
        {"type": "object", "additionalProperties": False},
        {"type": ["string", "integer"]},
        {"type": "integer", "enum": [1, 2]},
        {"const": 1},
        {"type": "array", "items": {"not": {}}},
        {"type": "object", "properties": {"a": True}},
        {"anyOf": [{"oneOf": []}]},
        {"type": "string", "examples": ["a", "b"]},
        {"type": "array", "maxItems": "3"},
    ],
)
def test_what_openapi_cannot_say(schema: dict[str, object]) -> None:
    assert to_gemini(schema, ordered=False) is None


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "boolean", ["string", "null"], ["a"], "null"])},
        optional={
            "description": st.text(max_size=5),
            "enum": st.lists(st.sampled_from(["a", "b", None, 1]), max_size=2),
            "default": st.none() | st.booleans() | st.integers(0, 1),
            "minLength": st.integers(0, 5),
            "$ref": st.just("#/$defs/x"),
        },
    )
    return st.recursive(
        plain,
        lambda inner: (
            st.fixed_dictionaries({"type": st.just("array"), "items": inner})
            | st.fixed_dictionaries(
                {"type": st.just("object"), "properties": st.dictionaries(st.text("abc"), inner, max_size=3)},
                optional={"required": st.just(["a"]), "additionalProperties": st.just(False)},
            )
            | st.fixed_dictionaries({"anyOf": st.lists(inner | st.just({"type": "null"}), max_size=3)})
        ),
        max_leaves=5,
    )


@given(schemas(), st.booleans())
def test_what_is_said_in_openapis_words_means_the_same(schema: dict[str, Any], ordered: bool) -> None:
    said = to_gemini(schema, ordered=ordered)
    if said is not None:
        assert to_json_schema(said) == schema


def test_what_a_response_schema_passes_over_is_named() -> None:
    lost: list[str] = []
    found = for_response(
        {
            "type": "object",
            "$defs": {"x": {"pattern": "a"}},
            "properties": {
                "a": {"anyOf": [{"const": "b", "title": "t"}, True], "uniqueItems": True},
                "b": True,
            },
            "prefixItems": [{"minLength": 1}],
            "additionalProperties": {"examples": [1], "default": 1, "$schema": "s"},
            "items": {"$ref": "#/$defs/x", "description": "d", "default": 1, "title": "t"},
        },
        "p",
        lost,
    )
    assert found == {
        "type": "object",
        "$defs": {"x": {}},
        "properties": {"a": {"anyOf": [{"enum": ["b"], "title": "t"}, True]}, "b": True},
        "prefixItems": [{}],
        "additionalProperties": {"examples": [1], "default": 1},
        "items": {"$ref": "#/$defs/x", "description": "d", "default": 1},
    }
    assert lost == [
        "p.$defs.x.pattern",
        "p.properties.a.uniqueItems",
        "p.prefixItems[0].minLength",
        "p.items.title",
    ]


def test_types_may_be_numbers() -> None:
    """As Protocol Buffers number them; what has no type says nothing of it."""
    said = {
        "type": 6,
        "properties": {"a": {"type": 1}, "b": {"type": 0}, "c": {"type": 5, "items": {"type": 3}}},
    }
    assert to_json_schema(said) == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {},
            "c": {"type": "array", "items": {"type": "integer"}},
        },
    }
    assert to_json_schema({"type": 99}) == {"type": 99}
