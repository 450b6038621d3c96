"""What a call costs the recorder: one `opened` and one `closed` line, checked, synced and in the ledger."""

import os
import threading
import time
from pathlib import Path

import pytest

from chatvault.config.schema import AuditConfig
from chatvault.core.ids import new_id
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.recorder import Recorder
from tests.recorder.journals import START, closed, ids, opened, writer

CALLS = 200_000


@pytest.mark.prove
def test_a_call_costs_at_most_25_us(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = writer(tmp_path, settings=AuditConfig(reserve=0))
    for number in range(CALLS):
        id = new_id((START + number * 1000) * 1000)
        chain.append(opened(number, id))
        chain.append(closed(number, id))
    chain.close()
    recorder = Recorder(RecorderOptions(data_dir=tmp_path))
    before = time.process_time()
    while recorder.step():
        pass
    recorder.close()
    spent = (time.process_time() - before) / CALLS * 1e6
    with capsys.disabled():
        print(f"\nrecorder: {spent:.1f} us of CPU a call, {CALLS} calls")
    assert len(ids(tmp_path)) == CALLS
    assert spent <= 25


@pytest.mark.prove
def test_an_idle_recorder_costs_nothing_to_speak_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = [writer(tmp_path, f"worker{number}") for number in range(50)]
    recorder = Recorder(RecorderOptions(data_dir=tmp_path))
    stop, begun = threading.Event(), threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop, begun.set))
    thread.start()
    assert begun.wait(10)
    time.sleep(2)
    before = os.times()
    time.sleep(10)
    after = os.times()
    stop.set()
    thread.join(20)
    share = (after.user + after.system - before.user - before.system) / 10
    with capsys.disabled():
        print(f"\nrecorder: {share:.2%} of a core while {len(written)} chains are idle")
    assert share <= 0.01
    for chain in written:
        chain.close()
