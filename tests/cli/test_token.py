"""Tokens from the shell: made, used, listed, shown, revoked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call

Run = Callable[..., Result]


@pytest.fixture
def run(gateway: OwnGateway, chatvault: Run) -> Run:
    def here(*words: str, given: str | None = None) -> Result:
        return chatvault("token", *words, "--data-dir", str(gateway.data_dir), given=given)

    return here


def made(run: Run, *words: str) -> dict[str, str]:
    done = run("create", "--json", *words)
    assert done.exit_code == 0, done.exception
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_create_for_machines(run: Run, gateway: OwnGateway) -> None:
    token = made(run, "--name", "laptop", "--expires", "24h")
    assert list(token) == ["token", "token_id", "expires_at"]
    left = datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    assert call(gateway, token["token"])[0] == 200


def test_create_for_people(run: Run) -> None:
    done = run("create", "--name", "laptop")
    assert "expires  never" in done.stdout
    assert "only time" in done.stdout


def test_a_token_is_held_to_its_models_and_endpoints(run: Run, gateway: OwnGateway) -> None:
    token = made(run, "--name", "narrow", "--models", "fake/echo, fake/reasoner")["token"]
    assert call(gateway, token, "fake/echo")[0] == 200
    assert call(gateway, token, "fake/simulated")[0] in (403, 404)
    token = made(run, "--name", "narrow", "--endpoints", "embeddings")["token"]
    assert call(gateway, token, "fake/echo")[0] == 403


def test_an_expiry_may_be_a_moment(run: Run) -> None:
    assert made(run, "--name", "later", "--expires", "2090-01-31T17:00:00Z")["expires_at"].startswith(
        "2090-01-31T17:00:00"
    )


def test_what_control_refuses_is_said(run: Run) -> None:
    done = run("create", "--name", "never", "--expires", "some day")
    assert isinstance(done.exception, Refusal)
    assert "expires_at is no time" in done.exception.message
    assert run("create", "--name", "never", "--models", " , ").exit_code == 2


def test_list_and_show_never_show_a_secret(run: Run) -> None:
    token = made(run, "--name", "listed", "--project", "lab", "--user", "ada", "--management")
    listed = run("list")
    row = next(line for line in listed.stdout.splitlines() if token["token_id"] in line)
    assert "listed" in row
    assert "management" in row
    assert "active" in row
    assert any(one["token_id"] == token["token_id"] for one in json.loads(run("list", "--json").stdout))
    shown = run("show", token["token_id"])
    assert "project id" in shown.stdout
    assert "lab" in shown.stdout
    assert json.loads(run("show", token["token_id"], "--json").stdout)["user_id"] == "ada"
    for done in (listed, shown, run("list", "--json")):
        assert token["token"] not in done.stdout
    assert isinstance(run("show", "tok_" + 20 * "0").exception, Refusal)


def test_revoke_by_id_holds_at_once(run: Run, gateway: OwnGateway) -> None:
    token = made(run, "--name", "lost")
    assert call(gateway, token["token"])[0] == 200
    assert run("revoke", token["token_id"]).stdout == "Revoked 1.\n"
    assert call(gateway, token["token"])[0] == 401
    assert "revoked" in next(line for line in run("list").stdout.splitlines() if token["token_id"] in line)


def test_revoke_by_the_token_itself_from_standard_input(run: Run, gateway: OwnGateway) -> None:
    first, second = (made(run, "--name", "leaked")["token"] for _ in range(2))
    done = run("revoke", "-", "--json", given=f"{first}\n{second}\n")
    assert json.loads(done.stdout) == {"revoked": 2, "unacknowledged": {}}
    assert call(gateway, first)[0] == call(gateway, second)[0] == 401
