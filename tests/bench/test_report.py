"""The report says what was measured."""

from chatvault.bench.report import Memory, Report, Round, figures


def taken(cpu: float, errors: int = 0) -> Round:
    return Round(
        cpu_us=cpu, behind_us=2 * cpu, rps=1e6 / cpu, p50_ms=1, p99_ms=2, alone_p50_ms=0.5, errors=errors
    )


def report(errors: int = 0, lagged: bool = False) -> Report:
    rows = [
        figures("nginx", [taken(8)], 0.1, floor=True),
        figures("bare proxy", [taken(10)], 0.1, floor=True),
        figures("gateway", [taken(19), taken(400, errors), taken(20)], 0.1, floor=False),
    ]
    memory = Memory(calls=1000, first_mb=30, last_mb=31)
    return Report(machine="a machine", conditions="calm", cases={"whole": rows}, memory=memory, lagged=lagged)


def test_figures_are_medians_and_errors_are_summed() -> None:
    row = report(errors=3).cases["whole"][2]
    assert (row.cpu_us, row.behind_us, row.errors) == (20, 40, 3)
    assert row.added_p50_ms == 0.4
    assert report(errors=3).errors == 3


def test_the_table_compares() -> None:
    text = report().text()
    line = next(line for line in text.splitlines() if line.startswith("gateway"))
    assert line.split() == ["gateway", "20.0", "2.50", "2.00", "40.0", "50,000", "1.00", "2.00", "0.400", "0"]
    assert "30 MB at first, 31 MB after 1,000 more calls" in text
    assert "not level" not in text
    assert "not level" in report(lagged=True).text()


def test_json_compares_too() -> None:
    row = report().as_json()["cases"]["whole"][2]
    assert row["times"] == {"nginx": 2.5, "bare proxy": 2.0}
    assert row["target"] == "gateway"
