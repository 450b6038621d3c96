"""Every endpoint of the data plane has a policy: its grant is asked, and what could go to a provider passes the door.

An endpoint that is added to `routes.ENDPOINTS` and that no request here reaches fails the first test.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from chatvault.access.budget import Budget
from chatvault.access.limits import Limited, Limits
from chatvault.feed.messages import Borrow
from chatvault.gateway import routes
from chatvault.gateway.routes import ENDPOINTS, Endpoint, find_endpoint
from tests.fake.raw import Heard, written
from tests.gateway.harness import Gate, gateway

OPEN = {routes.HEALTH, routes.ROOT}
FORM = "multipart/form-data; boundary=x"
MULTIPART = (
    b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nfake/echo\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc\r\n--x--\r\n'
)
BODY: dict[str, object] = {
    "model": "fake/echo",
    "messages": [{"role": "user", "content": "x"}],
    "contents": [{"role": "user", "parts": [{"text": "x"}]}],
    "content": {"parts": [{"text": "x"}]},
    "requests": [{"model": "models/fake/echo", "content": {"parts": [{"text": "x"}]}}],
    "max_tokens": 5,
    "input": "x",
    "anthropic_version": "vertex-2023-10-16",
}
PROMPTED = (
    "/v1/completions",
    "/api/generate",
    "/api/embeddings",
    "/v1/images/generations",
    "/v1/images/edits",
)
MINT: dict[str, object] = {"name": "below"}


class Ask(NamedTuple):
    """A request that reaches an endpoint. `body`: `json`, `form`, `mint`, or nothing."""

    endpoint: Endpoint
    method: str
    path: str
    body: str = ""


def asks() -> Iterator[Ask]:
    for path, endpoint in routes._JSON.items():
        body = "form" if endpoint.body == "upload" else "json"
        yield Ask(endpoint, "POST", path.decode(), body)
        if endpoint.body == "any":
            yield Ask(endpoint, "POST", path.decode(), "form")
    for verb, endpoint in routes._GEMINI.items():
        query = "?alt=sse" if endpoint.stream else ""
        yield Ask(endpoint, "POST", f"/v1beta/models/fake/echo:{verb.decode()}{query}", "json")
    yield Ask(routes._GEMINI_ARRAY, "POST", "/v1beta/models/fake/echo:streamGenerateContent", "json")
    for verb, endpoint in routes._VERTEX.items():
        yield Ask(endpoint, "POST", f"/v1/publishers/fake/models/echo:{verb.decode()}", "json")
    yield Ask(routes._VERTEX_COUNT, "POST", "/v1/publishers/anthropic/models/count-tokens:rawPredict", "json")
    for path, endpoint in routes._LOCAL.items():
        yield Ask(endpoint, "GET", path.decode())
    yield Ask(routes._GEMINI_MODELS, "GET", "/v1beta/models")
    yield Ask(routes._MODELS, "GET", "/v1/models")
    yield Ask(routes._MINT, "POST", "/v1/tokens", "mint")
    yield Ask(routes._UNMINT, "DELETE", "/v1/tokens/tok_1")
    yield Ask(routes._OTHER, "POST", "/v1/something/new", "json")
    yield Ask(routes._OTHER, "POST", "/v1/something/new", "form")
    for family, endpoint in routes._ACCOUNT.items():
        yield Ask(endpoint, "GET", f"/v1/{family}/x/y")
        yield Ask(endpoint, "POST", f"/v1/{family}/x/y", "json")
        yield Ask(endpoint, "DELETE", f"/v1/{family}/x/y")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        yield Ask(routes.ACCOUNT_OTHER, method, "/v1/something/new")
    yield Ask(routes.ACCOUNT_OTHER, "POST", "/v1/Something/new", "json")
    yield Ask(routes.HEALTH, "GET", "/health")
    yield Ask(routes.ROOT, "GET", "/")


ASKS = [ask for ask in asks() if ask.endpoint not in (routes._ACCOUNT["models"], routes._ACCOUNT["messages"])]
ASKS += [
    Ask(routes._ACCOUNT["models"], "DELETE", "/v1/models/x"),
    Ask(routes._ACCOUNT["messages"], "GET", "/v1/messages/batches"),
]


def body_of(ask: Ask) -> dict[str, object]:
    if ask.body == "mint":
        return MINT
    return BODY | {"prompt": "x"} if ask.path in PROMPTED else BODY


def request(gate: Gate, ask: Ask, token: str) -> bytes:
    if ask.body == "form":
        made = gate.post(MULTIPART, ask.path, token=token, **{"content-type": FORM})
    elif ask.body:
        made = gate.post(body_of(ask), ask.path, token=token)
    else:
        made = gate.get(ask.path, ask.method, token=token)
    return made


async def send(gate: Gate, ask: Ask, token: str) -> Heard:
    return await gate.send(request(gate, ask, token))


def test_every_endpoint_is_asked_here() -> None:
    for ask in ASKS:
        path, mark, query = ask.path.encode().partition(b"?")
        assert find_endpoint(ask.method.encode(), path, mark + query) is ask.endpoint, ask
    missing = [endpoint.name for endpoint in ENDPOINTS if endpoint not in {ask.endpoint for ask in ASKS}]
    assert missing == [], "an endpoint that nobody asks has no policy that anybody has seen"
    known = {value for value in vars(routes).values() if isinstance(value, Endpoint)}
    for table in [value for value in vars(routes).values() if isinstance(value, dict)]:
        known |= {value for value in table.values() if isinstance(value, Endpoint)}
    assert known == set(ENDPOINTS), "what a path can lead to and what is listed are the same"


async def test_without_a_token_nothing_is_answered_but_what_is_open(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for ask in ASKS:
            bare = request(gate, ask, "x").replace(b"authorization: Bearer x\r\n", b"")
            assert (await gate.send(bare)).status == (200 if ask.endpoint in OPEN else 401), ask
        assert gate.control.lookups == 0
        assert gate.fake.stats.requests + gate.fake.stats.partial == 0


@pytest.mark.parametrize("endpoints", [("nothing",), ("account.nothing",), ("*.nothing", "Chat*")])
async def test_a_token_whose_endpoints_leave_it_out_does_not_reach_it(
    tmp_path: Path, endpoints: tuple[str, ...]
) -> None:
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=endpoints)
        for ask in ASKS:
            assert (await send(gate, ask, token)).status == (200 if ask.endpoint in OPEN else 403), ask
        assert gate.fake.stats.requests + gate.fake.stats.partial == 0
        assert not [message for message in gate.control.heard if isinstance(message, Borrow)]


async def test_a_token_without_endpoints_reaches_nothing_account_wide(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        for token in (
            gate.token,
            gate.control.token(endpoints=("*",)),
            gate.control.token(endpoints=("a*",)),
        ):
            for ask in ASKS:
                if ask.endpoint.name.startswith("account"):
                    assert (await send(gate, ask, token)).status == 403, ask
        assert gate.fake.stats.requests + gate.fake.stats.partial == 0


ALL = ("*", "account.*")


async def _through_the_door(gate: Gate, token: str) -> None:
    """What could go to a provider is refused at the door; what is answered here (a count of tokens, where the provider
    has none) is answered, and goes nowhere."""
    passed = []
    for ask in ASKS:
        heard = await send(gate, ask, token)
        if ask.endpoint.local:
            assert heard.status != 429 or ask.endpoint.asks, ask
        elif ask.endpoint.name == "predict":
            assert b"does not speak" in heard.body
        elif heard.status != 429 and "x-chatvault-estimated" not in heard.headers:
            passed.append((ask, heard.status, heard.body[:200]))
    assert passed == [], [(a.path, a.method, st, b) for a, st, b in passed]
    assert gate.fake.stats.requests + gate.fake.stats.partial == 0
    assert not (await gate.records()).opened


async def test_a_token_without_a_request_left_goes_nowhere(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        limit = Limited("token", "tok_1", Limits(requests_per_minute=0))
        await _through_the_door(gate, gate.control.token(endpoints=ALL, limits=(limit,)))


async def test_a_hard_budget_of_nothing_goes_nowhere(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gate:
        budget = Budget(id="bud_1", scope="token", subject="tok_1", amount=0)
        await _through_the_door(gate, gate.control.token(endpoints=ALL, budgets=(budget,)))


async def test_what_one_may_call_does_reach_the_provider(tmp_path: Path) -> None:
    """The tests above would pass for a gateway that refuses everything."""
    async with gateway(tmp_path) as gate:
        token, reached = gate.control.token(endpoints=ALL), set()
        for ask in ASKS:
            if ask.endpoint.local:
                continue
            before = gate.fake.stats.requests + gate.fake.stats.partial
            heard = await send(gate, ask, token)
            assert heard.status not in (401, 403, 429), (ask, heard.body)
            if gate.fake.stats.requests + gate.fake.stats.partial > before:
                reached.add(ask.endpoint.name)
        assert len(reached) > 30


HOSTILE = {
    "dot segments": (b"/v1/../manage/tokens", 400),
    "dot segments at the end": (b"/v1/models/..", 400),
    "one dot": (b"/v1/./models", 400),
    "encoded dots": (b"/v1/%2e%2e/manage", 400),
    "an encoded slash": (b"/v1%2fmodels", 400),
    "an encoded slash in a name": (b"/v1/models/fake%2F..%2Fmanage", 400),
    "a backslash": (b"/v1\\models", 400),
    "two slashes": (b"//v1/models", 400),
    "two slashes inside": (b"/v1//models", 400),
    "an absolute address": (b"http://127.0.0.1/v1/models", 400),
    "another host's address": (b"http://169.254.169.254/latest", 400),
    "an authority": (b"//evil.example/v1/models", 400),
    "a fragment": (b"/v1/models#x", 400),
    "an encoded NUL": (b"/v1/models%00", 400),
    "twice encoded": (b"/v1/%252e%252e/manage", 403),
    "capitals": (b"/V1/models", 404),
    "the control plane": (b"/manage/tokens", 404),
    "its metrics": (b"/metrics", 404),
    "a parameter in the path": (b"/health;/../manage", 400),
    "a very long name": (b"/v1/models/" + b"x" * 50_000, 404),
    "letters that look alike": ("/v1/mоdels".encode(), 400),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_paths_that_would_go_round_the_table(tmp_path: Path, name: str) -> None:
    target, status = HOSTILE[name]
    async with gateway(tmp_path) as gate:
        token = gate.control.token(endpoints=("models",))
        head = b"GET %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % (target, token.encode())
        heard = await gate.send(head)
        assert heard.status == status, heard.body
        assert gate.fake.stats.requests + gate.fake.stats.partial == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("authorization: Bearer GOOD\r\nauthorization: Bearer GOOD\r\n", 400),
        ("authorization: Bearer x\r\nauthorization: Bearer GOOD\r\n", 400),
        ("x-api-key: GOOD\r\nx-api-key: GOOD\r\n", 400),
        ("authorization: Bearer x\r\nx-api-key: GOOD\r\n", 401),
        ("authorization: Bearer GOOD\r\nx-api-key: x\r\n", 200),
        ("authorization: Bearer GOOD GOOD\r\n", 401),
        ("authorization: Bearer GOOD, Bearer GOOD\r\n", 401),
        ("authorization: Bearer\tGOOD\r\n", 401),
        ("authorization: Bearer GOOD\x00\r\n", 400),
        ("authorization : Bearer GOOD\r\n", 400),
        ("cookie: token=GOOD\r\n", 401),
        ("proxy-authorization: Bearer GOOD\r\n", 401),
        ("host: other\r\nauthorization: Bearer GOOD\r\n", 400),
        ("x-original-url: /manage/tokens\r\nx-rewrite-url: /manage/tokens\r\nauthorization: Bearer GOOD\r\n", 200),
        ("x-http-method-override: DELETE\r\nauthorization: Bearer GOOD\r\n", 200),
    ],
    ids=range(15),
)  # fmt: skip
async def test_which_credential_counts(tmp_path: Path, fields: str, status: int) -> None:
    async with gateway(tmp_path) as gate:
        head = f"GET /v1/models HTTP/1.1\r\nhost: x\r\n{fields.replace('GOOD', gate.token)}\r\n"
        assert (await gate.send(head.encode("latin-1"))).status == status


async def test_names_that_look_alike_are_other_names(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_provider=None) as gate:
        token = gate.control.token(models=("fake/echo",))
        for name in (
            "fake/еcho",
            "ｆake/echo",
            "FAKE/ECHO",
            "fake/echo ",
            "fake/echo\0",
            "fake//echo",
            "fake/echo\u200b",
        ):
            heard = await gate.send(gate.post(BODY | {"model": name}, token=token))
            assert heard.status in (400, 403, 404), name
        assert gate.fake.stats.requests == 0
        assert (await gate.send(written(BODY, x_api_key=token))).status == 200
