"""The recorder is killed at random points; what it had done counts once, what it had not is done later."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatvault.audit.sealing import pack
from chatvault.audit.segments import chains
from chatvault.config.schema import AuditConfig
from tests.recorder.journals import calls, dump, priced, rebuilt, record, refused, writer

_RUN = """
import asyncio, sys
from pathlib import Path
from chatvault.recorder import journal, tail
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.process import run_recorder
journal.BATCH, journal._SHARE, tail._CHUNK = 20_000, 5_000, 5_000
options = RecorderOptions(data_dir=Path(sys.argv[1]), poll=0.005)
asyncio.run(run_recorder(options, lambda news: print(news, flush=True), asyncio.Event()))
"""


def start(data: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _RUN, str(data)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert b"ready" in process.stdout.readline()
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_point_the_ledger_is_exact(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    settings = AuditConfig(reserve=0, segment_size=60_000)
    written = [writer(tmp_path, f"worker{number}", settings) for number in range(2)]
    expected: list[str] = []
    number = 0
    for _ in range(4):
        process = start(tmp_path)
        until = time.monotonic() + chance.uniform(0.0, 0.12)
        while time.monotonic() < until:
            chain = chance.choice(written)
            priced(chain, f"p{number % 3}", 1000 + number)
            expected += [*calls(chain, 20, number), refused(chain, number + 20, 3)]
            number += 30
        kill(process)
        for segments in chains(tmp_path / "journal").values():
            for segment in segments[:-1]:
                if not segment.compressed:
                    pack(segment)
    for chain in written:
        chain.close()
    partly = {row[0] for row in dump(tmp_path)["usage_logs"]}
    assert partly
    assert partly <= set(expected)
    record(tmp_path)
    found = dump(tmp_path)
    assert [row[0] for row in found["usage_logs"]] == sorted(expected)
    assert rebuilt(tmp_path) == found
