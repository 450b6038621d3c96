"""Provider keys from the shell."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.core.errors import OperatorError
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call

KEY = "sk-from-the-shell-0123456789WXYZ"
Run = Callable[..., Any]


@pytest.fixture
def run(gateway: OwnGateway, chatvault: Callable[..., Result]) -> Run:
    def here(*words: str, given: str | None = None) -> Any:
        done = chatvault(*words, "--data-dir", str(gateway.data_dir), given=given)
        assert KEY not in done.output
        if done.exit_code:
            raise done.exception or AssertionError(done.output)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    return here


def test_a_key_is_added_shown_and_revoked(
    run: Run, gateway: OwnGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("project", "create", "team")
    one = run("key", "add", "fake", "--name", "of the house", "--json", given=f"{KEY}\n")
    assert (one["provider"], one["project_id"], one["name"], one["last4"]) == (
        "fake",
        None,
        "of the house",
        "WXYZ",
    )
    monkeypatch.setenv("TEAM_KEY", KEY)
    shown = run("key", "add", "fake", "--project", "team", "--env", "TEAM_KEY")
    assert "project id  team" in shown
    listed = run("key", "list")
    assert listed.splitlines()[0].split() == ["ID", "PROVIDER", "PROJECT", "NAME", "ENDS", "IN", "STATE"]
    assert f"{one['key_id']}  fake      all      of the house  WXYZ     in use" in listed
    (of_team,) = run("key", "list", "--project", "team", "--json")
    assert run("key", "list", "--provider", "nobody", "--json") == []
    token = run("token", "create", "--name", "n", "--json")["token"]
    assert call(gateway, token)[0] == 200
    assert "Revoked" in run("key", "revoke", of_team["key_id"])
    assert run("key", "show", of_team["key_id"], "--json")["revoked_at"] is not None
    assert "revoked" in run("key", "list", "--project", "team")
    assert f"key id      {one['key_id']}" in run("key", "show", one["key_id"])


def test_the_master_key_is_rotated(run: Run) -> None:
    run("key", "add", "fake", given=KEY)
    done = run("key", "rotate-master", "--json")
    assert done["former_removed"] is True
    held = [key for key in run("key", "list", "--json") if key["revoked_at"] is None]
    assert done["resealed"] == len(held)
    assert f"{len(held)} keys were sealed anew; the master key is mk_" in run("key", "rotate-master")


@pytest.mark.parametrize(
    ("words", "given", "why"),
    [
        (("key", "add", "fake"), " \n", "standard input is empty"),
        (
            ("key", "add", "fake", "--env", "NOT_SET_ANYWHERE"),
            None,
            "NOT_SET_ANYWHERE in the environment is empty",
        ),
        (("key", "add", "fkae"), KEY, "Did you mean 'fake'?"),
        (("key", "show", "key_none"), None, "no provider key"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: tuple[str, ...], given: str | None, why: str) -> None:
    with pytest.raises((OperatorError, Refusal), match=why.replace("?", r"\?")):
        run(*words, given=given)


def test_a_key_is_never_taken_from_the_command_line(chatvault: Callable[..., Result]) -> None:
    done = chatvault("key", "add", "fake", KEY)
    assert done.exit_code == 2
    done = chatvault("key", "add", "fake", "--key", KEY)
    assert done.exit_code == 2
