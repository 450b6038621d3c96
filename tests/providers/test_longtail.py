"""Which providers need a process of LiteLLM's, and where it listens."""

import pytest

from chatvault.app.settings import resolve_config
from chatvault.config.schema import Config, ProviderConfig
from chatvault.core.errors import OperatorError
from chatvault.providers.longtail import tails, with_tails
from chatvault.providers.resolve import resolve

URL = "unix:/run/litellm0.sock:/v1"
CONFIG = Config(
    providers={
        "tail": ProviderConfig(kind="litellm", env={"REPLICATE_API_KEY": "r8"}),
        "litellm": ProviderConfig(),
        "elsewhere": ProviderConfig(kind="litellm", base_url="http://127.0.0.1:9/v1"),
        "box": ProviderConfig(base_url="http://127.0.0.1:8/v1"),
    }
)


def test_a_process_for_each_that_listens_nowhere_yet() -> None:
    assert list(tails(CONFIG)) == ["tail", "litellm"]
    placed = with_tails(CONFIG, {"tail": URL, "litellm": URL + "2"})
    assert tails(placed) == {}
    assert placed.providers["box"] == CONFIG.providers["box"]


def test_calls_go_to_its_socket_and_the_snapshot_holds_none_of_its_variables() -> None:
    own = {"litellm:tail": URL, "litellm:litellm": "unix:/run/litellm1.sock:/v1"}
    snapshot = resolve_config(CONFIG, {}, ollama=False, own=own)
    tail = snapshot.providers["tail"]
    assert (tail.base_url, tail.kind, tail.headers) == (URL, "litellm", {})
    assert tail.dialects == ("openai.chat", "openai.embeddings")
    assert (tail.free, tail.price_id, tail.stream_usage) == (False, None, True)
    assert snapshot.providers["litellm"].base_url == "unix:/run/litellm1.sock:/v1"
    assert snapshot.providers["elsewhere"].base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (ProviderConfig(kind="litellm"), "base_url: LiteLLM's process for it starts with the gateway"),
        (ProviderConfig(kind="litellm", base_url=URL, env={"A B": "x"}), "env.A B: no name of a variable"),
        (ProviderConfig(base_url=URL, env={"A": "secret"}), "env: only `kind: litellm` has one"),
    ],
)
def test_what_is_wrong_is_said(said: ProviderConfig, problem: str) -> None:
    with pytest.raises(OperatorError) as raised:
        resolve(Config(providers={"p": said}), {}, False, None)
    assert raised.value.message.startswith(f"providers.p: {problem}")
    assert "secret" not in raised.value.message
