"""Usage objects as vendors write them, from recorded answers and vendors' own pages, and shapes nobody has written."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.openai.reply import Facts, read
from chatvault.wire.openai.usage import UsageShape, normalise, reported_cost

Json = dict[str, object]


def learnt(usage: object) -> Facts:
    facts = Facts()
    facts.learn(read(json.dumps({"usage": usage}).encode()))
    return facts


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 3},
                "completion_tokens_details": {
                    "reasoning_tokens": 256,
                    "audio_tokens": 4,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            Usage(input=2006, cached=1920, input_audio=3, output=300, reasoning=256, output_audio=4),
        ),
        (
            {
                "input_tokens": 36,
                "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 7},
                "output_tokens": 87,
                "output_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 123,
            },
            Usage(input=36, cached=5, cache_write=7, output=87, reasoning=64),
        ),
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),  # embeddings
        ({"total_tokens": 18}, Usage(input=18)),  # Voyage
        (
            {
                "input_tokens": 50,
                "output_tokens": 4160,
                "total_tokens": 4210,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens_details": {"image_tokens": 4100, "text_tokens": 60},
            },
            Usage(input=50, input_image=40, output=4160, output_image=4100),
        ),
        (
            {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
                "total_tokens": 59,
            },
            Usage(input=14, input_audio=14, output=45),
        ),
        ({"type": "duration", "seconds": 7}, None),  # whisper-1
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
        # DeepSeek
        (
            {
                "prompt_tokens": 20,
                "completion_tokens": 4,
                "total_tokens": 24,
                "prompt_cache_hit_tokens": 15,
                "prompt_cache_miss_tokens": 5,
            },
            Usage(input=20, cached=15, output=4),
        ),
        # xAI: reasoning beside the completion
        (
            {
                "prompt_tokens": 468,
                "completion_tokens": 82,
                "total_tokens": 870,
                "prompt_tokens_details": {"text_tokens": 468, "cached_tokens": 305},
                "completion_tokens_details": {"reasoning_tokens": 320},
            },
            Usage(input=468, cached=305, output=402, reasoning=320),
        ),
        # OpenRouter for Gemini: beside the completion, and not in the total either (the cost says so: 47 tokens out)
        (
            {
                "prompt_tokens": 57,
                "completion_tokens": 10,
                "total_tokens": 67,
                "cost": 0.0001346,
                "completion_tokens_details": {"reasoning_tokens": 37},
            },
            Usage(input=57, output=47, reasoning=37),
        ),
        # Together, Moonshot: details at the top
        (
            {"prompt_tokens": 119, "total_tokens": 271, "completion_tokens": 152, "reasoning_tokens": 133},
            Usage(input=119, output=152, reasoning=133),
        ),
        (
            {
                "prompt_tokens": 20,
                "completion_tokens": 30,
                "total_tokens": 50,
                "cached_tokens": 10,
                "completion_tokens_details": {"reasoning_tokens": 22},
            },
            Usage(input=20, cached=10, output=30, reasoning=22),
        ),
        # Hugging Face's router, Vercel's gateway: Anthropic's names
        (
            {
                "prompt_tokens": 38,
                "completion_tokens": 8,
                "prompt_tokens_details": {"cache_creation_input_tokens": 12, "cache_read_input_tokens": 20},
            },
            Usage(input=38, cached=20, cache_write=12, output=8),
        ),
        (
            {"prompt_tokens": 507, "completion_tokens": 137, "cache_creation_input_tokens": 500},
            Usage(input=507, cache_write=500, output=137),
        ),
        # Groq, Perplexity, Mistral: more than is asked for
        (
            {"queue_time": 0.19, "prompt_tokens": 205, "completion_tokens": 53, "total_time": 0.19},
            Usage(input=205, output=53),
        ),
        (
            {"prompt_tokens": 16, "completion_tokens": 2, "total_tokens": 393, "prompt_audio_seconds": 30},
            Usage(input=16, output=2),
        ),
        # Nulls, floats, strings, and what nobody has seen.
        ({"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": None}, Usage(input=5)),
        ({"prompt_tokens": 5.0, "completion_tokens": 2.9}, Usage(input=5, output=2)),
        ({"prompt_tokens": "5", "completion_tokens": " 7 "}, Usage(input=5)),
        ({"prompt_tokens": "5", "completion_tokens": "many"}, Usage(input=5)),
        ({"prompt_tokens": -5, "completion_tokens": -1}, Usage()),
        ({"prompt_tokens": 10**30, "completion_tokens": 1}, Usage(input=1 << 48, output=1)),
        ({"prompt_tokens": True, "completion_tokens": 3}, Usage(output=3)),
        ({"prompt_tokens": [1], "completion_tokens": {"a": 1}, "total_tokens": 9}, Usage(input=9)),
        ({"prompt_tokens": 5, "prompt_tokens_details": [], "completion_tokens_details": 7}, Usage(input=5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": "3"}}, Usage(input=5, cached=3)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}}, Usage(input=5, cached=5)),
        (
            {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 5}},
            Usage(output=5, reasoning=5),
        ),
        ({"total_tokens": 3, "completion_tokens": 5}, Usage(output=5)),
        ({}, None),
        ([], None),
        ("x", None),
        (7, None),
        (None, None),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    assert learnt(usage).usage == expected


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"prompt_tokens": 1, "cost": 0.00014}, 140_000_000),
        ({"prompt_tokens": 1, "cost": 5.37e-06}, 5_370_000),
        ({"prompt_tokens": 1, "cost": 0}, 0),
        ({"prompt_tokens": 1, "cost": "0.5"}, 500_000_000_000),
        ({"prompt_tokens": 1, "cost": 1e-13}, 1),  # rounded up, never to nothing
        ({"prompt_tokens": 1}, None),
        ({"prompt_tokens": 1, "cost": None}, None),
        ({"prompt_tokens": 1, "cost": -1}, None),
        ({"prompt_tokens": 1, "cost": "free"}, None),
        ({"prompt_tokens": 1, "cost": []}, None),
        ({"prompt_tokens": 1, "cost": 2_000_000}, None),
        # OpenRouter, with the account's own key at the provider behind it
        (
            {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 3.6e-06}},
            3_600_000,
        ),
        (
            {"cost": 5.37e-06, "is_byok": False, "cost_details": {"upstream_inference_cost": 5.37e-06}},
            5_370_000,
        ),
        # Perplexity
        (
            {
                "cost": {
                    "input_tokens_cost": 0.0,
                    "output_tokens_cost": 0.0,
                    "request_cost": 0.006,
                    "total_cost": 0.006,
                }
            },
            6_000_000_000,
        ),
        ({"cost": {"total_cost": "?"}}, None),
        # xAI: 163 x 0.2 + 305 x 0.05 + 402 x 0.5 dollars a million = 0.00024885 dollars
        ({"cost_in_usd_ticks": 2488500}, 248_850_000),
    ],
)
def test_the_providers_own_word_on_the_cost(usage: Json, cost: int | None) -> None:
    assert learnt(usage).cost == cost


@pytest.mark.parametrize(
    "cost", [b"1e999999", b"-1e999999", b"1e-999999", b"0e999999", b"1" * 400, b"0." + b"0" * 400 + b"1"]
)
def test_costs_that_are_no_costs_never_raise(cost: bytes) -> None:
    facts = Facts()
    facts.learn(read(b'{"usage":{"prompt_tokens":3,"cost":%s}}' % cost))
    assert facts.usage == Usage(input=3)
    assert facts.cost in (None, 0, 1)


def test_a_later_word_without_a_cost_does_not_take_it_back() -> None:
    facts = learnt({"prompt_tokens": 1, "cost": 0.5})
    facts.learn(read(b'{"usage":{"prompt_tokens":2}}'))
    assert facts.usage == Usage(input=2)
    assert facts.cost == 500_000_000_000


NAMES = st.sampled_from(
    [*UsageShape.__struct_fields__, "cached_tokens", "reasoning_tokens", "total_cost", "other"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=True).map(str)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_no_shape_raises_and_no_count_is_absurd(usage: Json) -> None:
    body = json.dumps({"usage": usage}).encode()
    try:
        reply = read(body)
    except ValueError:
        assert b"NaN" in body or b"Infinity" in body
        return
    facts = Facts()
    facts.learn(reply)
    if facts.usage is not None:
        found = facts.usage
        assert all(0 <= count <= 1 << 49 for count in msgspec.structs.astuple(found))
        assert max(found.cached, found.cache_write, found.input_audio, found.input_image) <= found.input
        assert max(found.reasoning, found.output_audio, found.output_image) <= found.output
    assert facts.cost is None or 0 <= facts.cost <= 1 << 61


def test_a_usage_that_cannot_even_be_decoded_is_none() -> None:
    facts = Facts()
    facts.learn(read(b'{"model":"m","status":0,"usage":{"prompt_tokens":1e999}}'))
    assert (facts.usage, facts.model) == (None, "m")


def test_values_made_by_hand() -> None:
    assert normalise(UsageShape(prompt_tokens=float(2**60))) == Usage(input=1 << 48)
    assert reported_cost(UsageShape(cost=Decimal("NaN"))) is None
    assert reported_cost(UsageShape(cost=Decimal("Infinity"))) is None
