"""However the journal is cut into batches, the ledger is the same."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatvault.audit.sealing import pack
from chatvault.audit.segments import chains
from chatvault.recorder import journal as journals
from chatvault.recorder import tail as tails
from tests.recorder.journals import ROLLING, calls, dump, forget, priced, rebuilt, record, refused, writer

Step = tuple[str, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(["calls", "refused", "price", "record", "forget", "pack"]),
        st.integers(0, 2),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=25,
)


@given(steps=steps, batch=st.integers(200, 9000), chunk=st.integers(50, 3000))
@settings(max_examples=40)
def test_any_split_gives_the_same_ledger(steps: list[Step], batch: int, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        data = Path(folder)
        written = [writer(data, f"worker{number}", ROLLING) for number in range(3)]
        expected: list[str] = []
        patch.setattr(journals, "BATCH", batch)
        patch.setattr(journals, "_SHARE", batch // 4)
        patch.setattr(tails, "_CHUNK", chunk)
        for number, (act, which, amount) in enumerate(steps):
            chain = written[which]
            if act == "calls":
                expected += calls(chain, amount, number * 10)
            elif act == "refused":
                expected.append(refused(chain, number * 10, amount))
            elif act == "price":
                priced(chain, f"p{amount}", 100 - number)
            elif act == "record":
                record(data)
            elif act == "forget":
                forget(data)
            else:
                for segment in chains(data / "journal")[chain.chain][:-1]:
                    if not segment.compressed:
                        pack(segment)
        record(data)
        found = dump(data)
        assert [row[0] for row in found["usage_logs"]] == sorted(expected)
        patch.undo()
        assert rebuilt(data)["usage_logs"] == found["usage_logs"]
        assert dump(data)["prices"] == found["prices"]
        for chain in written:
            chain.close()
