"""Accounts with keys of the vault: what stands in place of the configuration's credential, and who takes none."""

import msgspec
import pytest

from chatvault.config.schema import Config, ProviderConfig
from chatvault.config.snapshot import LentToken, ProviderSnapshot
from chatvault.core.errors import OperatorError
from chatvault.providers.keyed import keyed, not_keyed
from chatvault.providers.resolve import resolve
from chatvault.providers.rows import ROWS

_KEYED = sorted(name for name, row in ROWS.items() if name not in ("vertex", "bedrock", "litellm"))


def made(environ: dict[str, str] | None = None, **said: object) -> ProviderSnapshot:
    """The account `box`."""
    config = Config(providers={"box": ProviderConfig(**said)})  # type: ignore[arg-type]
    return resolve(config, environ or {}, False, None).providers["box"]


def problem(environ: dict[str, str] | None = None, **said: object) -> str:
    with pytest.raises(OperatorError) as error:
        made(environ, **said)
    return error.value.message


@pytest.mark.parametrize("kind", _KEYED)
def test_a_vaults_key_stands_where_a_configured_one_would(kind: str) -> None:
    with_key = made(kind=kind, base_url="http://gpu:1/v1", api_key="sk-1", headers={"x-mine": "1"})
    without = made(kind=kind, base_url="http://gpu:1/v1", vault_only=True, headers={"x-mine": "1"})
    other = made(kind=kind, base_url="http://gpu:1/v1", api_key="sk-2", headers={"x-mine": "1"})
    wanted = {family: face.headers for family, face in with_key.faces.items()}
    assert keyed(without, "sk-1") == keyed(other, "sk-1") == keyed(with_key, "sk-1") == wanted
    assert (without.vault_only, with_key.vault_only) == (True, False)
    assert "sk-" not in str(without.faces)
    assert not [face for face in without.faces.values() if "sk-1" in str(face.headers)]


def test_it_stands_in_place_of_a_credential_in_the_headers_and_of_a_bearer_token() -> None:
    by_header = made(kind="anthropic", headers={"Authorization": "Basic eA==", "x-mine": "1"})
    assert keyed(by_header, "k")["anthropic"] == {
        "anthropic-version": "2023-06-01",
        "x-mine": "1",
        "x-api-key": "k",
    }
    by_token = made({"ANTHROPIC_AUTH_TOKEN": "t"}, kind="anthropic")
    assert by_token.headers["authorization"] == "Bearer t"
    assert keyed(by_token, "k")["anthropic"] == {"anthropic-version": "2023-06-01", "x-api-key": "k"}


def test_with_keys_of_the_vault_alone_none_is_looked_for_or_missed() -> None:
    found = made({"OPENAI_API_KEY": "sk-1"}, kind="openai", vault_only=True)
    assert (found.headers, found.vault_only) == ({}, True)
    assert made(kind="openai", vault_only=True).headers == {}
    assert "vault_only: true" in problem(kind="openai")
    for beside in ({"api_key": "k"}, {"headers": {"Authorization": "Bearer k"}}):
        assert "vault_only: a credential stands beside it" in problem(
            kind="openai", vault_only=True, **beside
        )


def test_who_signs_each_call_takes_none() -> None:
    openai = made(kind="openai", api_key="k")
    assert not_keyed(openai) is None
    assert "signed by itself" in (not_keyed(msgspec.structs.replace(openai, signing=LentToken())) or "")
    tail = made(kind="litellm", base_url="unix:/run/tail.sock:/v1")
    assert "LiteLLM" in (not_keyed(tail) or "")
    aws = {
        "AWS_ACCESS_KEY_ID": "AKIA0123456789ABCDEF",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }
    assert not_keyed(made(aws, kind="bedrock")) is not None
    assert "vault_only: the vault's keys are of no use" in problem(aws, kind="bedrock", vault_only=True)
    assert "vault_only" in problem(kind="litellm", base_url="unix:/run/tail.sock:/v1", vault_only=True)
    by_key = made({"AWS_REGION": "us-east-1"}, kind="bedrock", api_key="k")
    assert not_keyed(by_key) is None
    assert keyed(by_key, "other") == {
        family: {name: value.replace("Bearer k", "Bearer other") for name, value in face.headers.items()}
        for family, face in by_key.faces.items()
    }
