from pathlib import Path

import pytest

from chatvault.config.load import find, load
from chatvault.config.schema import Config, ModelConfig, PriceConfig, ProviderConfig, Timeouts
from chatvault.core.errors import OperatorError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, environ: dict[str, str] | None = None, **overrides: object) -> Config:
    Path("config.yaml").write_text(text, "utf-8")
    return load(None, environ or {}, overrides)


def problems(text: str, environ: dict[str, str] | None = None, **overrides: object) -> list[str]:
    with pytest.raises(OperatorError) as raised:
        read(text, environ, **overrides)
    assert raised.value.code == "bad_config"
    return raised.value.message.splitlines()


def test_nothing_is_needed() -> None:
    assert load(None, {}, {}) == Config()
    assert read("") == Config()
    assert read("# nothing\nserver:\nproviders: {}\naudit: ~\n") == Config()


def test_every_kind_of_value() -> None:
    config = read(
        """
server:
  port: 4100
  max_body: 8MiB
  header_timeout: 500ms
  cors_origins: [https://a.example, https://b.example]
  client_gone: drain
providers:
  ollama:
  openai:
    api_key: ${OPENAI_API_KEY}
    timeouts: {connect: 2s, total: 10m}
    headers:
      X-Team: research
    stream_usage: no
models:
  chat: {provider: openai, model: gpt-4o-mini}
default_provider: openai
prices:
  openai/gpt-4o-mini:
    input: 0.15
    output: 2.50
    request: 0.000000000001
""",
        {"OPENAI_API_KEY": "sk-1"},
    )
    assert config.server.port == 4100
    assert config.server.max_body == 8 << 20
    assert config.server.header_timeout == 0.5
    assert config.server.cors_origins == ("https://a.example", "https://b.example")
    assert config.server.client_gone == "drain"
    assert config.providers == {
        "ollama": ProviderConfig(),
        "openai": ProviderConfig(
            api_key="sk-1",
            timeouts=Timeouts(connect=2.0, total=600.0),
            headers={"X-Team": "research"},
            stream_usage=False,
        ),
    }
    assert config.models == {"chat": ModelConfig(provider="openai", model="gpt-4o-mini")}
    price = PriceConfig(input="0.15", output="2.50", request="0.000000000001")  # the text, never a float
    assert config.prices == {"openai/gpt-4o-mini": price}


def test_the_nearer_source_holds() -> None:
    text = "server: {port: 1, admin_port: 11, workers: 2}\nlog_level: error\n"
    environ = {"CHATVAULT_SERVER_PORT": "2", "CHATVAULT_SERVER_ADMIN_PORT": "12", "CHATVAULT_LOG_LEVEL": ""}
    config = read(text, environ, **{"server.port": 3, "data_dir": "elsewhere", "audit.durability": None})
    assert (config.server.port, config.server.admin_port, config.server.workers) == (3, 12, 2)
    assert config.data_dir == "elsewhere"
    assert config.audit.durability == "process"
    assert config.log_level == "error"  # a variable that is set to nothing is not set


def test_lists_and_names_from_the_environment_and_the_command_line() -> None:
    config = load(
        None,
        {"CHATVAULT_SERVER_CORS_ORIGINS": "https://a, https://b,", "CHATVAULT_DATA": "/var/lib/chatvault"},
        {"providers": {"fake": {"stream_usage": True}}, "server.trusted_proxies": ("10.0.0.1",)},
    )
    assert config.server.cors_origins == ("https://a", "https://b")
    assert config.server.trusted_proxies == ("10.0.0.1",)
    assert config.data_dir == "/var/lib/chatvault"
    assert config.providers == {"fake": ProviderConfig(stream_usage=True)}


def test_a_key_of_a_provider_from_the_command_line_keeps_the_others() -> None:
    config = read("providers: {box: {base_url: http://gpu/v1}}", None, **{"providers.box.api_key": "k"})
    assert config.providers["box"].base_url == "http://gpu/v1"
    assert config.providers["box"].api_key == "k"


def test_all_problems_at_once_each_with_its_line() -> None:
    text = """\
sever:
  port: 1
server:
  prot: 4000
  port: four
  workers: 0
  admin_port: 70000
  max_body: 12 apples
  idle_timeout: soon
  send_timeout: 0
  cors_origins: https://a
  client_gone: maybe
  host: [a]
providers: nope
models:
  chat: {model: x}
  both: {provider: a, model: [b]}
  none: {provider: [a]}
prices:
  a/b:
    inptu: 3
audit: [1]
"""
    assert problems(text, {"CHATVAULT_AUDIT_BODIES": "some", "CHATVAULT_SERVER_PRT": "1"}) == [
        "CHATVAULT_SERVER_PRT in the environment: no such setting; did you mean 'CHATVAULT_SERVER_PORT'?",
        "config.yaml:1: unknown key sever; did you mean 'server'?",
        "config.yaml:4: unknown key server.prot; did you mean 'port'?",
        "config.yaml:5: server.port: expected a whole number, got 'four'",
        "config.yaml:6: server.workers: expected 1 or more, got '0'",
        "config.yaml:7: server.admin_port: expected 65535 or less, got '70000'",
        "config.yaml:8: server.max_body: expected a size such as 65536, 64KiB or 32MiB, got '12 apples'",
        "config.yaml:9: server.idle_timeout: expected a duration such as 500ms, 10s, 5m or 24h, got 'soon'",
        "config.yaml:10: server.send_timeout: expected more than 0, got '0'",
        "config.yaml:11: server.cors_origins: expected a list, as in [a, b]",
        "config.yaml:12: server.client_gone: expected cancel or drain, got 'maybe'",
        "config.yaml:13: server.host: expected one value, not a list or a mapping",
        "config.yaml:14: providers: expected a mapping of names to values",
        "config.yaml:16: models.chat: provider is needed",
        "config.yaml:17: models.both.model: expected one value, not a list or a mapping",
        "config.yaml:18: models.none.provider: expected one value, not a list or a mapping",
        "config.yaml:21: unknown key prices.a/b.inptu; did you mean 'input'?",
        "CHATVAULT_AUDIT_BODIES in the environment: audit.bodies: expected none or full, got 'some'",
    ]


def test_a_section_that_is_none() -> None:
    assert problems("audit: [1]") == ["config.yaml:1: audit: expected a mapping of settings"]
    assert problems("server: {client_gone: [x]}") == [
        "config.yaml:1: server.client_gone: expected cancel or drain"
    ]
    assert problems("providers: {a: {stream_usage: perhaps}}") == [
        "config.yaml:1: providers.a.stream_usage: expected true or false, got 'perhaps'"
    ]
    (problem,) = problems("zzz: 1")
    assert problem.startswith("config.yaml:1: unknown key zzz; there are audit, budgets, data_dir, ")


def test_what_contradicts_itself() -> None:
    assert problems("server: {port: 4001}") == [
        "server.port and server.admin_port are both 4001; they must differ"
    ]
    assert problems("server: {max_body: 1GiB}") == [
        "server.max_body is more than server.max_bodies, which holds for all requests together"
    ]
    assert read("server: {port: 4001, host: 0.0.0.0}").server.port == 4001
    assert read("server: {port: 0, admin_port: 0}").server.port == 0


def test_variables_are_filled_in() -> None:
    text = """\
providers:
  a: {api_key: "${KEY}", base_url: "http://${HOST:-gpu}:${PORT:-8000}/v1"}
  b: {api_key: "${NONE:-}", base_url: "$${HOST} $HOST"}
server: {port: "${P:-4100}"}
# ${COMMENT}
"""
    config = read(text, {"KEY": "a: [b] # c", "HOST": "box"})
    assert config.providers["a"] == ProviderConfig(api_key="a: [b] # c", base_url="http://box:8000/v1")
    assert config.providers["b"] == ProviderConfig(api_key="", base_url="${HOST} $HOST")
    assert config.server.port == 4100


def test_a_variable_that_is_missing_is_named_with_its_line() -> None:
    (problem,) = problems("providers:\n  a:\n    api_key: ${MY_KEY}\n", {"MY_KEY": ""})
    assert problem.startswith(
        "config.yaml:3: ${MY_KEY} is not set; set MY_KEY in the environment or .env, or "
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {port: 1", "config.yaml:1: expected ',' or '}', but got '<stream end>'"),
        ("a: 1\n b: 2", "config.yaml:2: mapping values are not allowed here"),
        ("server: *gone", "config.yaml:1: found undefined alias 'gone'"),
        ("- server", "config.yaml:1: the file must be a mapping of settings, as in `server:`"),
        ("log_level: info\nlog_level: debug", "config.yaml:2: log_level is set twice"),
        (
            "log_level: !!python/name:os.system ''",
            "config.yaml:1: the tag tag:yaml.org,2002:python/name:os.system means",
        ),
        ("data_dir: !secret x", "config.yaml:1: the tag !secret means nothing here"),
        ("? [a]\n: 1", "config.yaml:1: a key must be a plain name"),
        ("a: 1\n---\nb: 2", "config.yaml:2: but found another document"),
        ("models: &a {b: *a}", "config.yaml:1: nested too deep"),
        ("\x00", "config.yaml cannot be read: "),
    ],
)
def test_what_yaml_can_hold_and_we_do_not(text: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems(text))


def test_anchors_and_merges_work() -> None:
    config = read(
        """
providers:
  a: &base {base_url: http://gpu/v1, api_key: k}
  b: {<<: *base, api_key: other}
"""
    )
    assert config.providers["b"] == ProviderConfig(base_url="http://gpu/v1", api_key="other")


def test_the_file_that_is_read(elsewhere: Path) -> None:
    assert find(None, {}) is None
    (elsewhere / "config.yaml").write_text("log_level: debug")
    (elsewhere / "other.yaml").write_text("log_level: error")
    assert find(None, {}) == Path("config.yaml")
    assert load(None, {"CHATVAULT_CONFIG": "other.yaml"}, {}).log_level == "error"
    assert load(Path("config.yaml"), {"CHATVAULT_CONFIG": "other.yaml"}, {}).log_level == "debug"


def test_a_file_that_is_named_must_be_there(elsewhere: Path) -> None:
    with pytest.raises(OperatorError, match=r"gone\.yaml: there is no such file, and --config names it"):
        load(Path("gone.yaml"), {}, {})
    with pytest.raises(OperatorError, match="CHATVAULT_CONFIG names it"):
        load(None, {"CHATVAULT_CONFIG": str(elsewhere)}, {})


def test_a_file_that_is_no_text(elsewhere: Path) -> None:
    (elsewhere / "config.yaml").write_bytes(b"a: \xff")
    with pytest.raises(OperatorError, match=r"config\.yaml cannot be read"):
        load(None, {}, {})
