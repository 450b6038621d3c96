"""What a grant allows: patterns over models and endpoints, and what only a named pattern opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.grant import Bounds, Grant
from chatvault.gateway.routes import ENDPOINTS


def grant(**limits: tuple[str, ...]) -> Grant:
    return Grant(token="tok_1", project="default", **limits)  # type: ignore[arg-type]


def test_a_grant_without_limits_allows_all_but_the_account() -> None:
    plain = grant()
    assert plain.allows_model("anything at all")
    for endpoint in ENDPOINTS:
        assert plain.allows_endpoint(endpoint.name) is not endpoint.name.startswith("account."), endpoint
    assert {endpoint.name.partition(".")[0] for endpoint in ENDPOINTS} >= {"account", "chat", "other"}


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("gpt-4o",), "GPT-4o", False),
        (("gpt-*",), "gpt-4o-mini", True),
        (("ollama/*",), "ollama/a/b", True),
        (("ollama/*",), "fake/x", False),
        (("a", "b?"), "bc", True),
        (("[ab]*",), "cat", False),
        ((), "anything", False),
    ],
)
def test_models(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    assert grant(models=patterns).allows_model(model) is allowed


@pytest.mark.parametrize(
    ("patterns", "endpoint", "allowed"),
    [
        (("*",), "chat.completions", True),
        (("*",), "account.files", False),
        (("*.*",), "account.files", False),
        (("?ccount.*",), "account.files", False),
        (("[a]ccount.*",), "account.files", False),
        (("*", "account.files"), "account.files", True),
        (("account.files",), "account.batches", False),
        (("account.*",), "account.batches", True),
        (("account.*",), "account.other", True),
        (("account.*",), "chat.completions", False),
        (("account*",), "account.files", True),
        (("account",), "account.files", False),
        (("chat.*",), "chat.completions", True),
        (("images.*",), "chat.completions", False),
        ((), "chat.completions", False),
        ((), "account.files", False),
    ],
)
def test_endpoints(patterns: tuple[str, ...], endpoint: str, allowed: bool) -> None:
    assert grant(endpoints=patterns).allows_endpoint(endpoint) is allowed


@given(st.lists(st.text("*?[]!acount.files", max_size=20)))
def test_no_pattern_that_does_not_name_it_opens_the_account(patterns: list[str]) -> None:
    named = [pattern for pattern in patterns if pattern.startswith("account")]
    if not named:
        assert not grant(endpoints=tuple(patterns)).allows_endpoint("account.files")


def test_a_grant_withers() -> None:
    assert not Grant(token="tok_1", project="default").expired(1 << 62)
    withering = Grant(token="tok_1", project="default", expires_at=1000)
    assert [withering.expired(at) for at in (999, 1000, 1001)] == [False, True, True]


def test_a_token_is_held_to_the_bounds_of_those_it_was_minted_by() -> None:
    grant = Grant(
        token="tok_2",
        project="p",
        models=("gpt-*",),
        within=(Bounds(models=("*-mini",), endpoints=("chat.*",)), Bounds()),
    )
    assert grant.allows_model("gpt-4o-mini")
    assert not grant.allows_model("gpt-4o")
    assert not grant.allows_model("o3-mini")
    assert grant.allows_endpoint("chat.completions")
    assert not grant.allows_endpoint("embeddings")


def test_account_wide_endpoints_must_be_named_by_parent_and_child() -> None:
    named = ("account.files",)
    assert Grant(token="t", project="p", endpoints=named, within=(Bounds(endpoints=named),)).allows_endpoint(
        "account.files"
    )
    assert not Grant(token="t", project="p", endpoints=named, within=(Bounds(),)).allows_endpoint(
        "account.files"
    )


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (None, "203.0.113.9", True),
        (None, "unix", True),
        (("10.0.0.0/8", "::1"), "10.255.0.1", True),
        (("10.0.0.0/8", "::1"), "::1", True),
        (("10.0.0.0/8", "::1"), "0:0:0:0:0:0:0:1", True),
        (("10.0.0.0/8", "::1"), "11.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:11.1.2.3", False),
        (("10.0.0.0/8",), "::zz.1", False),
        (("10.0.0.0/8",), "unix", False),
        (("10.0.0.0/8",), "", False),
        ((), "10.0.0.1", False),
    ],
)
def test_addresses(networks: tuple[str, ...] | None, address: str, allowed: bool) -> None:
    assert Grant(token="t", project="p", networks=networks).allows_address(address) is allowed


def test_addresses_are_held_to_the_networks_of_those_above() -> None:
    above = (Bounds(networks=("10.0.0.0/8",)), Bounds(models=("m",)))
    below = Grant(token="t", project="p", networks=("10.1.0.0/16", "127.0.0.1"), within=above)
    assert below.allows_address("10.1.2.3")
    assert not below.allows_address("10.2.2.3")
    assert not below.allows_address("127.0.0.1")
    assert Grant(token="t", project="p", within=above).allows_address("10.2.2.3")
