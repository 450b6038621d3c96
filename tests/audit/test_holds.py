"""What a dead chain holds of budgets: the last line that names one says it."""

import gzip
from pathlib import Path

import pytest

from chatvault.audit.holds import chain_holds
from chatvault.audit.lines import Attempted
from chatvault.audit.recovery import Recovery
from chatvault.audit.segments import segment_path
from chatvault.config.schema import AuditConfig
from chatvault.core.charge import Charge
from chatvault.core.errors import JournalError
from tests.audit.samples import closed, open_writer, opened

ONE, TWO, NEVER = ("bud_1", 0), ("bud_2", 5), ("bud_3", 0)


def test_the_last_line_that_names_a_budget_says_what_is_held(tmp_path: Path) -> None:
    worker = open_writer(tmp_path)
    first, last = opened("a"), closed("a")
    first.budgets = (Charge("bud_1", 0, 100, 100), Charge("bud_2", 5, 100, 100))
    last.budgets = (Charge("bud_1", 0, 12, 12), Charge("bud_2", 5, 12, 12))
    worker.append(first)
    again = Attempted(
        at=5, id="a", number=2, provider="x", after="reset", budgets=(Charge("bud_1", 0, 200, 200),)
    )
    worker.append(again)
    worker.append(opened("b"))
    assert chain_holds(worker.folder, worker.chain, [ONE, TWO, NEVER]) == {ONE: 200, TWO: 100}
    worker.append(last)
    worker.append(closed("b"))
    assert chain_holds(worker.folder, worker.chain, [ONE, TWO, NEVER]) == {ONE: 12, TWO: 12}
    assert chain_holds(worker.folder, worker.chain, [TWO]) == {TWO: 12}
    assert chain_holds(worker.folder, "worker9-gone", [ONE]) is None


def test_it_is_found_in_segments_of_long_ago_sealed_or_not(tmp_path: Path) -> None:
    worker = open_writer(tmp_path, settings=AuditConfig(reserve=4096, segment_size=600))
    line = opened("a")
    line.budgets = (Charge("bud_2", 5, 7, 7),)
    worker.append(line)
    for number in range(6):
        line = opened(str(number))
        line.budgets = (Charge("bud_1", 0, number, number),)
        worker.append(line)
    assert worker.segment > 3
    plain = segment_path(worker.folder, worker.chain, 1)
    segment_path(worker.folder, worker.chain, 1, compressed=True).write_bytes(
        gzip.compress(plain.read_bytes())
    )
    plain.unlink()
    assert chain_holds(worker.folder, worker.chain, [ONE, TWO, NEVER]) == {ONE: 5, TWO: 7}


def test_a_torn_line_was_never_acted_on_and_a_broken_one_is_told(tmp_path: Path) -> None:
    worker = open_writer(tmp_path)
    line = opened("a")
    line.budgets = (Charge("bud_1", 0, 7, 7),)
    worker.append(line)
    path = segment_path(worker.folder, worker.chain, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines(keepends=True)[-1].replace(b"7,7", b"9,9")[:-1])
    assert chain_holds(worker.folder, worker.chain, [ONE]) == {ONE: 7}
    path.write_bytes(whole + b'{"budgets": 5}\n' + b'{"budgets":[[1]]}\n')
    with pytest.raises(JournalError, match="cannot be read"):
        chain_holds(worker.folder, worker.chain, [ONE])


def test_an_interrupted_call_names_the_budgets_it_was_to_be_paid_by(tmp_path: Path) -> None:
    worker, control = open_writer(tmp_path), open_writer(tmp_path, "control")
    line = opened("a")
    line.budgets = (Charge("bud_1", 0, 7, 7),)
    worker.append(line)
    again = Attempted(
        at=5, id="a", number=2, provider="x", after="reset", budgets=(Charge("bud_1", 0, 14, 14),)
    )
    worker.append(again)
    worker.close()
    recovery = Recovery(control.folder, control.chain)
    recovery.look()
    (found,) = recovery.dead[0].interrupted
    assert found.closed.budgets == (Charge("bud_1", 0, 14, 14),)
    recovery.release()
