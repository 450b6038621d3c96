"""Real client libraries, each asked to do what applications do, by a provider of every dialect.

Each runs in a process of its own, from packages that `make clients` installs, and is told nothing but the gateway's
address, a token and a model.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from chatvault.fake import FakeProvider
from chatvault.fake.sample import sample
from tests.clients.program import Program, program
from tests.clients.python.jobs import PERSON, PIXEL
from tests.clients.stage import PROVIDERS, before_all
from tests.clients.table import LIBRARIES, Library

SAID = "One two three four"
SCRIPT = 'call: weather {"city": "Paris"}\ncall: clock {"zone": "UTC"}\nsay: It is {result}.'
CALLS = [["weather", {"city": "Paris"}], ["clock", {"zone": "UTC"}]]
TOLD = {"text": "It is noon in UTC.", "calls": CALLS}
WRAPPED = re.compile(r'\{(?:"name":"[a-z]+",)?"(?:result|return_value|output|content)":"([^"]*)"\}')
"""Google's API has objects for results of tools, and some libraries put a text into one."""
JOBS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "whole": ("echo", SAID, {"text": SAID}),
    "streamed": ("echo", SAID, {"text": SAID}),
    "loop": ("scripted", SCRIPT, TOLD),
    "loop_streamed": ("scripted", SCRIPT, TOLD),
    "structured": ("simulated", "Who?", {"value": sample(PERSON)}),
    "image": ("echo", SAID, {"text": SAID}),
    "refused": ("fail-429-retry-after-1", SAID, {"status": 429}),
    "broken": ("echo+cut-after-4", SAID, {}),
}
"""What is done: by which model, with which words, and what must come of it."""

MODELS = [f"{provider}/{model}" for provider in PROVIDERS for model in {job[0]: 0 for job in JOBS.values()}]
_FAMILIES = (
    "haiku-5-5", "sonnet-4-6", "sonnet-5", "sonnet-5-5", "opus-4-7", "opus-4-8", "opus-5", "opus-5-5", "fable-5",
)  # fmt: skip
_PREFIXES = ("", "anthropic.", "us.anthropic.")
KNOWN = dict(
    zip(MODELS, (f"{prefix}claude-{name}" for prefix in _PREFIXES for name in _FAMILIES), strict=False)
)
"""Names for the models that are known as Anthropic's."""

clients = pytest.mark.clients


async def wrong(client: Program, fake: FakeProvider, what: str, model: str) -> str | None:
    """What is wrong with what came of a job; None if nothing is."""
    _, say, expected = JOBS[what]
    got = await client.do(what, model, say)
    if what in ("refused", "broken"):
        if not got.get("error"):
            return f"no error but {got}"
    elif "error" in got:
        return f"{got['error']}"
    if isinstance(got.get("text"), str):
        got["text"] = WRAPPED.sub(r"\1", got["text"]).strip()
    differing = {key: got.get(key) for key, value in expected.items() if got.get(key) != value}
    if differing:
        return f"{differing} of {got}"
    if what == "streamed" and got["parts"] < 2:
        return "the stream came in one piece"
    if what == "image":
        assert fake.last is not None
        if PIXEL not in fake.last.body.decode().replace("-", "+").replace(
            "_", "/"
        ):  # or base64's other letters
            return "the picture did not reach the provider"
    return None


@clients
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.id)
async def test_a_library_does_it_all_with_every_provider(tmp_path: Path, library: Library) -> None:
    missing = library.missing()
    if missing is not None:
        pytest.skip(missing)
    failed: dict[str, str] = {}
    async with before_all(tmp_path, {name: target for target, name in KNOWN.items()}) as (gate, fakes):
        words = library.words(gate.base_url.removesuffix("/v1"), gate.token)
        async with program(words, tmp_path) as client:
            for provider, fake in fakes.items():
                for what, (model, _, _) in JOBS.items():
                    target = f"{provider}/{model}"
                    found = await wrong(client, fake, what, KNOWN[target] if library.picky else target)
                    if found is not None:
                        failed[f"{provider} {what}"] = found
            assert not failed, (
                "\n".join(f"{what}: {why}" for what, why in failed.items()) + client.complaints()
            )
        records = await gate.records()
    assert {line.endpoint for line in records.closed} <= {library.endpoint, "streamGenerateContent"}
    states = {line.target: line.state for line in records.closed}
    failed_as_told = {"fail-429-retry-after-1": "upstream_error", "echo+cut-after-4": "upstream_cut"}
    assert states == dict.fromkeys(("echo", "scripted", "simulated"), "completed") | failed_as_told
