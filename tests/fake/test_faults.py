"""The grammar of faults: what a model name means, and that the documentation knows every fault."""

from pathlib import Path

import pytest

from chatvault.fake.faults import FAULTS, UnknownFault, parse_header, parse_model
from chatvault.fake.plan import Plan

DOCS = Path(__file__).parents[2] / "docs" / "fake.md"


@pytest.mark.parametrize(
    "name", ["echo", "gpt-4o", "x/y:z", "reasoner", "no-such-thing", "longcat", "slowpoke"]
)
def test_a_plain_name_is_no_fault(name: str) -> None:
    assert parse_model(name) == Plan(name=name)


def test_parts_are_joined_in_order() -> None:
    plan = parse_model("pace-20ms+events-50+no-usage")
    assert plan == Plan(pace_ms=20.0, events=50, usage="none")
    assert parse_model("fake/echo+cut-after-3") == Plan(name="echo", end_after=3, ending="close")
    assert parse_model("fault:crlf+cr").eol == b"\r"


def test_a_retry_hint_has_two_numbers() -> None:
    plan = parse_model("fail-429-retry-after-2")
    assert (plan.status, plan.retry_after) == (429, 2)


@pytest.mark.parametrize(
    "name",
    [
        "cut-after",
        "cut-after-x",
        "fail-teapot",
        "fail-200",
        "fail-600",
        "echo+nonsense",
        "fault:echo",
        "split-0",
    ],
)
def test_an_unknown_fault_is_refused(name: str) -> None:
    with pytest.raises(UnknownFault):
        parse_model(name)


def test_the_refusal_lists_all_faults() -> None:
    with pytest.raises(UnknownFault) as caught:
        parse_model("echo+nonsense")
    assert all(fault.form in str(caught.value) for fault in FAULTS)


def test_a_header_adds_to_the_model() -> None:
    plan = parse_header(parse_model("echo+events-5"), "no-done + events-7")
    assert plan == Plan(name="echo", events=7, done=False)
    assert parse_header(plan, " ") == plan
    with pytest.raises(UnknownFault):
        parse_header(plan, "echo")


def test_forms_differ_and_every_one_parses() -> None:
    for fault in FAULTS:
        example = fault.form.replace("N", "404").replace("S", "2")
        plan = parse_model(example)
        assert plan != Plan(name=example)
        assert plan.name == ""


def test_the_documentation_has_every_fault_in_its_own_words() -> None:
    text = DOCS.read_text()
    for fault in FAULTS:
        assert f"| `{fault.form}` | {fault.does} |" in text
