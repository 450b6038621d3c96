"""What was used and what it cost, from the shell."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from typer.testing import Result

from chatvault.bench.own_gateway import OwnGateway
from chatvault.sdk.control import Refusal
from tests.cli.conftest import call, recorded

Run = Callable[..., Result]
# "hello" to the echo: 4 + 2 tokens in, as many deltas out as the ledger says, at 1 $ and 4 $ a million.


@pytest.fixture(scope="module")
def calls(gateway: OwnGateway) -> list[dict[str, object]]:
    """Two calls of one model, one of another, one that fails, one that is refused."""
    token = gateway.token("usage")["token"]
    asked = ["fake/echo", "fake/echo", "fake/reasoner", "fake/fail-500", "nobody/knows"]
    return [recorded(gateway, call(gateway, token, model)[1]) for model in asked]


@pytest.fixture
def run(gateway: OwnGateway, chatvault: Run) -> Run:
    def here(*words: str) -> Result:
        return chatvault("usage", *words, "--data-dir", str(gateway.data_dir))

    return here


def test_by_model_with_an_exact_total(run: Run, calls: list[dict[str, object]]) -> None:
    lines = run().stdout.splitlines()
    assert lines[0].split() == ["MODEL", "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "COST"]
    echo = next(line for line in lines if line.startswith("fake/echo")).split()
    assert echo[1:3] == ["2", "0"]
    assert echo[-1] == f"${2 * Decimal(str(calls[0]['cost']))}"
    total = next(line for line in lines if line.startswith("total")).split()
    assert total[1:3] == ["5", "2"]
    assert Decimal(total[-1][1:]) == sum(Decimal(str(one["cost"] or 0)) for one in calls)


def test_a_cost_is_of_its_tokens(calls: list[dict[str, object]]) -> None:
    row = calls[0]
    assert row["input_tokens"] == 6
    assert isinstance(row["output_tokens"], int)
    assert row["cost_pico"] == 6 * 1_000_000 + row["output_tokens"] * 4_000_000


def test_by_several_things_and_for_machines(run: Run, calls: list[dict[str, object]]) -> None:
    groups = json.loads(run("--by", "token,day", "--json").stdout)
    assert len(groups) == 1
    assert groups[0]["token"] == calls[0]["token_id"]
    assert groups[0]["calls"] == 5
    table = run("--by", "provider, day").stdout
    assert table.split()[:2] == ["PROVIDER", "DAY"]


def test_filters(run: Run, calls: list[dict[str, object]]) -> None:
    assert "fake/reasoner" not in run("--model", "fake/echo").stdout
    assert json.loads(run("--provider", "elsewhere", "--json").stdout) == []
    assert json.loads(run("--until", "1h", "--json").stdout) == []
    assert json.loads(run("--since", "1h", "--token", str(calls[0]["token_id"]), "--json").stdout)


def test_an_unknown_cost_is_never_counted_as_nothing(
    run: Run, gateway: OwnGateway, calls: list[dict[str, object]]
) -> None:
    assert "Not in these costs" not in run("--model", "fake/echo").stdout
    row = recorded(gateway, call(gateway, gateway.token("usage")["token"], "fake/fail-501")[1])
    assert row["cost"] is None
    said = run("--model", "fake/fail-501").stdout
    assert (
        next(line for line in said.splitlines() if line.startswith("fake/fail-501")).split()[-1] == "unknown"
    )
    assert "Not in these costs: 1 call whose cost is unknown" in said


def test_a_group_that_does_not_exist(run: Run) -> None:
    done = run("--by", "colour")
    assert isinstance(done.exception, Refusal)
    assert "model" in done.exception.message
