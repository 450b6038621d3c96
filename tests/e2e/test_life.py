"""Start, end, reload: what an operator does to a gateway."""

from chatvault.fake import FakeProvider
from tests.e2e.gateway import Gateway, chat


async def test_a_call_is_answered_on_record_and_in_the_ledger(
    gateway: Gateway, provider: FakeProvider
) -> None:
    async with gateway.client() as client:
        whole = await client.post("/chat/completions", json=chat("sim/echo"))
        assert whole.status_code == 200, whole.text
    [row] = await gateway.level()
    assert row["id"] == whole.headers["x-request-id"] == provider.stats.ids[0]
    assert (row["state"], row["attempts"], row["cost"]) == (
        "completed",
        1,
        row["input_tokens"] * 10**6 + row["output_tokens"] * 4 * 10**6,
    )
    print(gateway.ready_after, gateway.family())
    assert await gateway.stop() == 0
    report = await gateway.verify()
    print(report.text())
