"""Projects, users and budgets from the shell."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call

Run = Callable[..., Any]


@pytest.fixture
def run(gateway: OwnGateway, chatvault: Callable[..., Result]) -> Run:
    def here(*words: str) -> Any:
        done = chatvault(*words, "--data-dir", str(gateway.data_dir))
        if done.exit_code:
            raise done.exception or AssertionError(done.output)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    return here


def test_a_project_is_made_limited_and_switched_off_and_on(run: Run, gateway: OwnGateway) -> None:
    run("project", "create", "team", "--name", "The team", "--limit", "100/minute", "--json")
    assert "team     The team  on     100 requests/minute" in run("project", "list")
    token = run("token", "create", "--name", "n", "--project", "team", "--no-limits", "--json")["token"]
    assert call(gateway, token)[0] == 200
    assert "active      False" in run("project", "off", "team")
    assert call(gateway, token)[0] == 401
    run("project", "on", "team")
    assert call(gateway, token)[0] == 200
    changed = run("project", "change", "team", "--limit", "none", "--name", "T", "--json")
    assert (changed["limits"], changed["name"]) == (None, "T")
    with pytest.raises(Refusal) as refused:
        run("project", "delete", "team")
    assert refused.value.code == "project_in_use"
    run("project", "create", "empty")
    assert "Removed empty." in run("project", "delete", "empty")
    assert "name        T" in run("project", "show", "team")


def test_a_user_is_made_and_switched_off_and_on(run: Run, gateway: OwnGateway) -> None:
    run("user", "create", "ada", "--limit", "concurrent=9", "--name", "Ada")
    token = run("token", "create", "--name", "n", "--user", "ada", "--json")["token"]
    run("user", "off", "ada")
    assert call(gateway, token)[0] == 401
    run("user", "on", "ada")
    assert call(gateway, token)[0] == 200
    assert "concurrent=9" in run("user", "list")
    assert [one["user_id"] for one in run("user", "list", "--project", "default", "--json")] == ["ada"]
    run("user", "change", "ada", "--limit", "5/hour", "--name", "A")
    assert run("user", "show", "ada", "--json")["limits"] == {"requests_per_hour": 5}


def test_windows_of_limits_are_shown(run: Run, gateway: OwnGateway) -> None:
    made = run("token", "create", "--name", "n", "--limit", "3/minute", "--limit", "concurrent=2", "--json")
    assert call(gateway, made["token"])[0] == 200
    shown = run("limits", "--scope", "token", "--subject", made["token_id"])
    assert "requests_per_minute     3     1     2" in shown
    rows = run("limits", "--subject", made["token_id"], "--json")["data"]
    assert {row["limit"]: (row["used"], row["left"]) for row in rows} == {
        "requests_per_minute": (1, 2),
        "concurrent": (0, 2),
    }


def test_a_token_is_bounded_and_rotated(run: Run, gateway: OwnGateway) -> None:
    made = run(
        "token", "create", "--name", "n", "--limit", "7/minute", "--idle", "30d", "--max-requests", "5",
        "--networks", "127.0.0.0/8", "--json",
    )  # fmt: skip
    shown = run("token", "show", made["token_id"], "--json")
    assert (shown["limits"], shown["idle_hours"], shown["max_requests"], shown["networks"]) == (
        {"requests_per_minute": 7}, 720.0, 5, ["127.0.0.0/8"],
    )  # fmt: skip
    assert "limits         7 requests/minute" in run("token", "show", made["token_id"])
    rotated = run("token", "rotate", made["token_id"], "--grace", "0", "--json")
    assert call(gateway, made["token"])[0] == 401
    assert call(gateway, rotated["token"])[0] == 200
    assert "This is the only time" in run("token", "rotate", made["token_id"])


def test_a_budget_is_made_changed_and_ended(run: Run) -> None:
    made = run("budget", "create", "12.50", "--project", "default", "--per", "month", "--json")
    assert (made["amount"], made["per"], made["hard"]) == ("12.50", "month", True)
    assert "project default  $12.50 a month" in run("budget", "list")
    assert run("budget", "change", made["budget_id"], "--amount", "5", "--soft", "--json")["hard"] is False
    assert "amount           5.00" in run("budget", "show", made["budget_id"])
    assert "Ended" in run("budget", "end", made["budget_id"])
    assert run("budget", "list", "--json")[0]["ended_at"] is not None
    with pytest.raises(SystemExit):
        run("budget", "create", "1")
