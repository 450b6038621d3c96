from pathlib import Path

import msgspec
import pytest

from chatvault.config.schema import Config, ModelConfig, PriceConfig, ProviderConfig, Timeouts
from chatvault.config.snapshot import Snapshot
from chatvault.core.errors import OperatorError
from chatvault.pricing.book import PriceBook
from chatvault.providers.resolve import FAKE_RATES, fake_wanted, rates, resolve

FAKE_URL = "http://127.0.0.1:9/v1"
KEY = {"OPENAI_API_KEY": "sk-1"}


def problems(config: Config, environ: dict[str, str] | None = None, fake_url: str | None = None) -> list[str]:
    with pytest.raises(OperatorError) as raised:
        resolve(config, environ or {}, False, fake_url)
    return raised.value.message.splitlines()


def one(**said: object) -> Config:
    return Config(providers={"box": msgspec.convert(said, ProviderConfig)})


def test_a_key_in_the_environment_is_a_provider() -> None:
    snapshot = resolve(Config(), KEY, False, FAKE_URL, version=7, models=PriceBook().models)
    (openai,) = snapshot.providers.values()
    assert (openai.name, openai.base_url, openai.price_id) == (
        "openai",
        "https://api.openai.com/v1",
        "openai",
    )
    assert openai.headers == {"authorization": "Bearer sk-1"}
    assert openai.stream_usage
    assert not openai.free
    assert (snapshot.version, snapshot.default_provider) == (7, "openai")
    assert "gpt-4o-mini" in snapshot.known["openai"]
    assert snapshot.prices == {}


def test_the_snapshot_travels_and_does_not_show_its_keys() -> None:
    snapshot = resolve(Config(), KEY, True, None)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot
    assert "sk-1" not in repr(snapshot)
    assert "sk-1" not in repr(ProviderConfig(api_key="sk-1"))


def test_nothing_found_leaves_the_simulated_provider() -> None:
    assert fake_wanted(Config(), {}, ollama=False)
    snapshot = resolve(Config(), {}, False, FAKE_URL)
    assert list(snapshot.providers) == ["fake"]
    assert snapshot.providers["fake"].base_url == FAKE_URL
    assert snapshot.default_provider is None  # it never answers for a real model's name
    assert snapshot.prices == {"fake/*": FAKE_RATES}
    assert "echo" in snapshot.known["fake"]
    assert resolve(Config(), {}, False, None).providers == {}


def test_the_simulated_provider_stays_away_where_something_was_found() -> None:
    for config, environ, ollama in (
        (Config(), KEY, False),
        (Config(), {}, True),
        (one(base_url=FAKE_URL), {}, False),
    ):
        assert not fake_wanted(config, environ, ollama)
        assert "fake" not in resolve(config, environ, ollama, FAKE_URL).providers


def test_the_simulated_provider_can_be_asked_for() -> None:
    config = Config(
        providers={"fake": ProviderConfig(), "slow": ProviderConfig(kind="fake", timeouts=Timeouts(idle=1))}
    )
    assert fake_wanted(config, KEY, ollama=False)
    snapshot = resolve(config, KEY, False, FAKE_URL)
    assert list(snapshot.providers) == ["fake", "slow", "openai"]  # what was configured comes first
    assert snapshot.default_provider == "openai"
    assert snapshot.providers["slow"].base_url == FAKE_URL
    assert snapshot.providers["slow"].timeouts.idle == 1
    assert (
        problems(config)[0]
        == "providers.fake: base_url: the simulated provider does not run; set where it listens"
    )


def test_an_ollama_that_answers_is_there_and_free() -> None:
    ollama = resolve(Config(), {"OLLAMA_HOST": "gpu:5000"}, True, None).providers["ollama"]
    assert (ollama.base_url, ollama.free, ollama.headers) == ("http://gpu:5000/v1", True, {})
    named = Config(providers={"ollama": ProviderConfig()})
    assert resolve(named, {}, False, None).providers["ollama"].base_url == "http://127.0.0.1:11434/v1"
    two = resolve(Config(), KEY | {"GROQ_API_KEY": "g"}, True, None)
    assert two.default_provider == "openai"
    assert resolve(Config(), {"GROQ_API_KEY": "g"}, True, None).default_provider is None


def test_the_configuration_holds_over_what_was_found() -> None:
    config = Config(
        providers={
            "openai": ProviderConfig(api_key="sk-mine", timeouts=Timeouts(connect=1), stream_usage=False),
            "work": ProviderConfig(kind="openai", headers={"OpenAI-Project": "p"}),
            "box": ProviderConfig(base_url="http://gpu:8000/v1/"),
            "pipe": ProviderConfig(base_url="unix:/run/llm.sock:/v1"),
        },
        default_provider="box",
        models={"chat": ModelConfig(provider="work", model="gpt-4o")},
    )
    snapshot = resolve(config, KEY | {"BOX_API_KEY": "b"}, False, None)
    openai, work, box = (snapshot.providers[name] for name in ("openai", "work", "box"))
    assert openai.headers == {"authorization": "Bearer sk-mine"}
    assert (openai.timeouts.connect, openai.stream_usage) == (1, False)
    assert work.headers == {"openai-project": "p", "authorization": "Bearer sk-1"}
    assert (box.kind, box.base_url, box.headers) == (
        "openai-compatible",
        "http://gpu:8000/v1",
        {"authorization": "Bearer b"},
    )
    assert snapshot.default_provider == "box"
    assert snapshot.models == config.models


def test_a_header_may_be_the_credential() -> None:
    own = Config(providers={"openai": ProviderConfig(headers={"Authorization": "Basic eA=="})})
    assert resolve(own, {}, False, None).providers["openai"].headers == {"authorization": "Basic eA=="}


def test_all_that_is_wrong_is_said_at_once() -> None:
    config = Config(
        providers={
            "openai": ProviderConfig(),
            "box": ProviderConfig(),
            "odd": ProviderConfig(kind="grok"),
            "cloudflare": ProviderConfig(api_key="x"),
        },
        models={"chat": ModelConfig(provider="openia")},
        default_provider="bix",
        prices={
            "gpt": PriceConfig(input="1"),
            "opnai/gpt": PriceConfig(input="1"),
            "box/m": PriceConfig(output="1"),
        },
    )
    assert problems(config) == [
        "providers.openai: api_key: needed; set OPENAI_API_KEY in the environment or .env, or api_key, or `vault_only: true`",
        "providers.box: base_url: needed, as in http://127.0.0.1:8000/v1",
        "providers.odd: kind: there is no kind 'grok'; did you mean 'groq'?",
        "providers.cloudflare: base_url: set CLOUDFLARE_ACCOUNT_ID in the environment, or base_url",
        "models.chat.provider: no provider 'openia'; did you mean 'openai'?",
        "default_provider: no provider 'bix'; did you mean 'box'?",
        "prices.gpt: write provider/model, or provider/* for all of its models",
        "prices.opnai/gpt: no provider 'opnai'; did you mean 'openai'?",
        "prices.box/m.input: needed (0 where it is free)",
    ]


def test_names_that_are_like_none_are_listed() -> None:
    config = Config(providers=one(base_url=FAKE_URL).providers, default_provider="zzzz")
    assert problems(config) == ["default_provider: no provider 'zzzz'; there are box"]
    assert problems(Config(default_provider="zzzz")) == ["default_provider: no provider 'zzzz'"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/v1",
        "gpu:8000",
        "http://",
        "http://gpu:99999/v1",
        "http://gpu:0/v1",
        "http://gpu/v1?x=1",
        "http://a b/v1",
        "unix:",
    ],
)
def test_bad_urls(url: str) -> None:
    (problem,) = problems(one(base_url=url))
    assert problem.startswith("providers.box: base_url: ")


def test_a_bad_name() -> None:
    (problem,) = problems(Config(providers={"a/b": ProviderConfig(base_url=FAKE_URL)}))
    assert problem.startswith("providers.a/b: a provider's name is letters")


def test_bad_headers_and_keys_are_not_shown() -> None:
    for said in (
        {"api_key": "sk-\u201csecret\u201d"},
        {"headers": {"x-a": "secret\r\nx-b: 1"}},
        {"headers": {"x a": "secret"}},
    ):
        (problem,) = problems(one(base_url=FAKE_URL, **said))
        assert "secret" not in problem


def test_certificates_and_proxies_are_tried(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("no certificate")
    assert problems(one(base_url=FAKE_URL, ca_file=str(empty))) == [
        f"providers.box: ca_file: {empty} holds no certificate in PEM"
    ]
    (problem,) = problems(one(base_url=FAKE_URL, ca_file=str(tmp_path / "none.pem")))
    assert "No such file" in problem
    assert problems(one(base_url=FAKE_URL, proxy="socks5://x")) == [
        "providers.box: proxy: write http://host:port"
    ]
    direct = resolve(one(base_url="https://llm/v1", proxy=""), {"HTTPS_PROXY": "http://p:1"}, False, None)
    assert direct.providers["box"].proxy is None


def test_prices_become_exact_rates() -> None:
    said = PriceConfig(input="2.50", cached="0.3", output="10", request="0.005")
    assert rates(said) == {
        "input": 2_500_000,
        "cached": 300_000,
        "output": 10_000_000,
        "request": 5_000_000_000,
    }
    assert rates(PriceConfig(request="0.01")) == {"input": 0, "output": 0, "request": 10_000_000_000}
    config = Config(
        providers=one(base_url=FAKE_URL).providers, prices={"box/*": PriceConfig(input="0", output="0")}
    )
    assert resolve(config, {}, False, None).prices == {"box/*": {"input": 0, "output": 0}}


@pytest.mark.parametrize("amount", ["0.0000001", "-1", "cheap", "nan", "inf", "1e999999999"])
def test_what_is_no_price(amount: str) -> None:
    with pytest.raises(ValueError, match="input: "):
        rates(PriceConfig(input=amount))
