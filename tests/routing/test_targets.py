"""From a public name to a target."""

import pytest

from chatvault.routing.targets import MAX_NAME, Directory, Target


@pytest.fixture
def directory() -> Directory:
    return Directory(
        models={
            "fast": ("groq", "llama-3"),
            "gpt-4o": ("openai", "gpt-4o"),
            "groq/llama-3": ("openai", "other"),
        },
        known={"ollama": ["smollm", "shared"], "groq": ["llama-3", "shared"], "absent": ["hidden"]},
        providers=["ollama", "groq", "openai"],
        default_provider="openai",
    )


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fast", Target("groq", "llama-3", True)),
        ("gpt-4o", Target("openai", "gpt-4o", False)),
        ("groq/llama-3", Target("openai", "other", True)),  # a configured name wins over provider/model
        ("openai/o1", Target("openai", "o1", True)),
        ("groq/meta/llama", Target("groq", "meta/llama", True)),
        ("smollm", Target("ollama", "smollm", False)),
        ("shared", Target("ollama", "shared", False)),  # the first provider that has it
        ("hidden", Target("openai", "hidden", False)),  # of a provider that is not there
        ("unheard", Target("openai", "unheard", False)),
        ("nobody/x", Target("openai", "nobody/x", False)),
        ("groq/", Target("openai", "groq/", False)),
        ("/x", Target("openai", "/x", False)),
        ("", None),
        ("x" * MAX_NAME, Target("openai", "x" * MAX_NAME, False)),
        ("x" * (MAX_NAME + 1), None),
    ],
)
def test_names(directory: Directory, name: str, target: Target | None) -> None:
    for _ in range(2):  # found, and remembered
        assert directory.find(name) == target


def test_without_a_default_provider_an_unheard_name_leads_nowhere() -> None:
    directory = Directory({}, {"ollama": ["smollm"]}, ["ollama"], None)
    assert directory.default_provider is None
    assert directory.find("unheard") is None
    assert directory.find("smollm") == Target("ollama", "smollm", False)
    assert directory.find("ollama/any") == Target("ollama", "any", True)


def test_what_is_remembered_of_clients_names_is_bounded(directory: Directory) -> None:
    for number in range(10_000):
        directory.find(f"name-{number}")
    directory.find("x" * 10_000_000)
    assert sum(map(len, directory._cached)) < 4096 * MAX_NAME
    assert len(directory._cached) <= 4096


def test_the_names_a_token_may_use(directory: Directory) -> None:
    assert directory.names(lambda name: True) == [
        ("fast", "groq"),
        ("gpt-4o", "openai"),
        ("groq/llama-3", "openai"),
        ("ollama/smollm", "ollama"),
        ("ollama/shared", "ollama"),
        ("groq/shared", "groq"),
    ]
    assert directory.names(lambda name: name == "fast") == [("fast", "groq")]


def test_suggestions_come_only_from_what_the_token_may_use(directory: Directory) -> None:
    assert directory.nearest("gpt-4", lambda name: True)[0] == "gpt-4o"
    assert "gpt-4o" not in directory.nearest("gpt-4", lambda name: name != "gpt-4o")
    assert directory.nearest("zzz", lambda name: True, most=2) == ["fast", "gpt-4o"]
    assert directory.nearest("zzz", lambda name: False) == []


def test_models_of_a_prefixed_provider_answer_to_their_prefix_alone() -> None:
    known = {"fake": ["echo", "gpt-4o"], "openai": ["gpt-4o"]}
    directory = Directory({"mine": ("fake", "echo")}, known, ["fake", "openai"], None, prefixed={"fake"})
    assert directory.find("fake/echo") == Target("fake", "echo", True)
    assert directory.find("echo") is None
    assert directory.find("gpt-4o") == Target("openai", "gpt-4o", False), "no simulation stands in for it"
    assert directory.find("mine") == Target("fake", "echo", True)
    assert ("fake/echo", "fake") in directory.names(lambda name: True)
