"""What happened to a call, told by the shell of a gateway that runs."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call, recorded


def test_a_call_and_a_refusal_are_told(gateway: OwnGateway, chatvault: Callable[..., Result]) -> None:
    where = ("--data-dir", str(gateway.data_dir))
    made = gateway.control.request(
        "POST", "/manage/tokens", {"name": "n", "limits": {"requests_per_hour": 1}}
    )
    gateway.control.request(
        "POST",
        "/manage/budgets",
        {"scope": "token", "subject": made["token_id"], "amount": "5", "allow_unbounded": True},
    )
    status, id, _ = call(gateway, made["token"])
    assert status == 200
    row = recorded(gateway, id)
    done = chatvault("explain", id, *where)
    assert done.exit_code == 0, done.exception
    assert (
        f"The token {made['token_id']} (project default) asked for 'fake/echo' by chat.completions."
        in done.stdout
    )
    assert "It was answered whole, with status 200" in done.stdout
    assert "Budget bud_" in done.stdout
    told = json.loads(chatvault("explain", id, "--json", *where).stdout)
    assert told["call"]["cost_pico"] == row["cost_pico"]
    assert [line["type"] for line in told["record"]["lines"]] == ["opened", "closed"]
    assert told["budgets"][0]["now"]["amount"] == "5.00"

    status, id, _ = call(gateway, made["token"])
    assert status == 429
    recorded(gateway, id)
    refused = chatvault("explain", id, *where).stdout
    assert "It was refused with 429, rate_limited: nothing went to a provider." in refused
    assert "The limit of 1 requests a hour" in refused
    assert (
        f"Now: 1 of 1 requests per hour of the token {made['token_id']} are used; the first of it frees in"
        in refused
    )

    missing = chatvault("explain", "nobody", *where)
    assert isinstance(missing.exception, Refusal)
    assert missing.exception.code == "call_not_found"


@pytest.mark.parametrize("words", [("explain", "--help")])
def test_it_explains_itself(chatvault: Callable[..., Result], words: tuple[str, ...]) -> None:
    assert "x-request-id" in chatvault(*words).stdout
