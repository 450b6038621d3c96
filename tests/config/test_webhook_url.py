"""A webhook's address and secret: what may be set, and what of it is shown."""

from pathlib import Path

import pytest

from chatvault.config.load import load
from chatvault.config.schema import BudgetsConfig, WebhooksConfig
from chatvault.config.webhook_url import problems_of, shown
from chatvault.core.errors import OperatorError

SECRET = "0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://hooks.example.com/T0/B0/secret?x=secret", "https://hooks.example.com"),
        ("https://HOOKS.example:8443", "https://hooks.example:8443"),
        ("http://[2001:db8::1]:80/x", "http://[2001:db8::1]:80"),
        ("https://user:pass@hooks.example/x", None),
        ("https://user@hooks.example/x", None),
        ("https://hooks.example/x#part", None),
        ("https://hooks.example:99999/x", None),
        ("https://hooks.example:port/x", None),
        ("https://[::1/x", None),
        ("https:///x", None),
        ("ftp://hooks.example/x", None),
        ("hooks.example/x", None),
        ("https://hooks.example/a b", None),
        ("https://hooks.example/\r\nx: y", None),
        ("", None),
    ],
)
def test_only_the_host_of_an_address_is_shown(url: str, origin: str | None) -> None:
    assert shown(url) == origin
    found = list(problems_of(WebhooksConfig(url=url, secret=SECRET, allow_private=True)))
    assert bool(found) == (origin is None)


def test_what_is_needed_beside_an_address() -> None:
    assert list(problems_of(WebhooksConfig())) == []
    assert list(problems_of(WebhooksConfig(url="https://hooks.example/x", secret=SECRET))) == []
    (plain,) = problems_of(WebhooksConfig(url="http://hooks.example/x", secret=SECRET))
    assert "allow_private" in plain
    for secret in (None, "short-secret"):
        (found,) = problems_of(WebhooksConfig(url="https://hooks.example/x", secret=secret))
        assert "webhooks.secret" in found
        assert "short-secret" not in found


def test_neither_path_nor_secret_is_in_what_it_prints_as() -> None:
    assert "secret" not in repr(WebhooksConfig(url="https://hooks.example/secret", secret="a-secret-of-mine"))


def test_they_are_read_and_checked_with_the_rest(tmp_path: Path) -> None:
    environ = {
        "CHATVAULT_BUDGETS_THRESHOLDS": "75, 100",
        "CHATVAULT_WEBHOOKS_URL": "https://hooks.example/x",
        "CHATVAULT_WEBHOOKS_SECRET": SECRET,
    }
    config = load(None, environ, {})
    assert config.budgets == BudgetsConfig(thresholds=(75, 100))
    assert config.webhooks == WebhooksConfig(url="https://hooks.example/x", secret=SECRET)
    file = tmp_path / "config.yaml"
    file.write_text("budgets: {thresholds: [0, 1001]}\nwebhooks: {url: nowhere, secret: canary}\n")
    with pytest.raises(OperatorError) as raised:
        load(file, {}, {})
    assert raised.value.message.count("budgets.thresholds") == 2
    assert "webhooks.url" in raised.value.message
    assert "canary" not in raised.value.message
    file.write_text("budgets: {thresholds: []}\n")
    assert load(file, {}, {}).budgets.thresholds == ()
