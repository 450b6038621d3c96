"""Windows of limits over restarts of the whole gateway."""

from tests.e2e.gateway import Gateway, chat


async def test_windows_go_on_after_a_restart_and_are_shown(gateway: Gateway) -> None:
    token, token_id = await gateway.make_token(limits={"requests_per_hour": 3, "tokens_per_day": 100_000})
    async with gateway.client(token) as client:
        answers = [(await client.post("/chat/completions", json=chat("sim/echo"))).json() for _ in range(2)]
    used = answers[0]["usage"]
    await gateway.level()
    await gateway.crash()
    await gateway.start()
    async with gateway.client(token) as client:
        assert (await client.post("/chat/completions", json=chat("sim/echo"))).status_code == 200
        refused = await client.post("/chat/completions", json=chat("sim/echo"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert 3000 < int(refused.headers["retry-after"]) <= 3600
    async with gateway.operator() as operator:
        shown = (await operator.get("/manage/limits", params={"subject": token_id})).json()["data"]
    by_limit = {row["limit"]: row for row in shown}
    assert (by_limit["requests_per_hour"]["used"], by_limit["requests_per_hour"]["left"]) == (3, 0)
    assert by_limit["tokens_per_day"]["used"] == 3 * (used["prompt_tokens"] + used["completion_tokens"])
