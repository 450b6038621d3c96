"""What a model takes, by its name alone."""

import pytest

from chatvault.wire.bedrock.models import ModelFacts, model_facts


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0"),
        ("amazon.nova-2-lite-v1:0", "global.amazon.nova-2-lite-v1:0"),
        (
            "amazon.nova-lite-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/apac.amazon.nova-pro-v1:0",
        ),
        ("openai.gpt-5.2", "us.openai.gpt-5.6"),
        (
            "cohere.command-r-v1:0",
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/cohere.command-r-plus-v1:0",
        ),
        ("zai.glm-4.7", "eu.zai.glm-5"),
        ("meta.llama3-8b-instruct-v1:0", "us-gov.meta.llama3-70b-instruct-v1:0"),
    ],
)
def test_regions_and_resources_say_nothing_of_a_model(model: str, same: str) -> None:
    assert model_facts(model) == model_facts(same)


def test_families_differ() -> None:
    assert model_facts("amazon.nova-2-lite-v1:0").thinking == "nova"
    assert model_facts("amazon.nova-lite-v1:0").thinking == "none"
    assert model_facts("qwen.qwen3-32b-v1:0").structured
    assert not model_facts("mistral.mistral-large-2407-v1:0").structured
    assert model_facts("meta.llama3-8b-instruct-v1:0") == ModelFacts()


@pytest.mark.parametrize(
    "resource", ["application-inference-profile/abc", "provisioned-model/abc", "imported-model/a"]
)
def test_what_is_asked_of_an_unknown_model_is_passed_on(resource: str) -> None:
    facts = model_facts(f"arn:aws:bedrock:us-east-1:123456789012:{resource}")
    assert (facts.caching, facts.structured, facts.forced) == ("full", True, True)
