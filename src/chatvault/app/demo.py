"""`chatvault demo`: a gateway of its own, used by a real client, broken on purpose, and asked what it knows."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from chatvault.app.demo_client import PROMPT, DemoClient, Said, openai_client
from chatvault.app.demo_record import Row, expect_summary, forged, ledger_rows, show_rows, verified, wait_for
from chatvault.app.demo_stage import DemoFailed, Stage, expect
from chatvault.bench.own_gateway import OwnGateway
from chatvault.config.env import environment
from chatvault.core.errors import OperatorError
from chatvault.core.money import dollars
from chatvault.providers.ollama import ollama_answers, ollama_url
from chatvault.providers.resolve import FAKE_RATES

_SETTINGS: Final = {"CHATVAULT_AUDIT_SIGN_INTERVAL": "1s", "CHATVAULT_SERVER_DRAIN_TIMEOUT": "2s"}
_KILL_AT: Final = 3


def run(with_: str) -> int:
    """`with_` is what answers: fake, ollama or tiny. Returns the exit status: 0 if all of it held, 1 if not,
    130 after Ctrl-C."""
    stage = Stage()
    before = signal.signal(signal.SIGTERM, _interrupt)  # whoever ends the demo ends the gateway with it
    try:
        {"fake": _fake, "ollama": _ollama, "tiny": _tiny}[with_](stage)
    except (DemoFailed, OperatorError) as error:
        stage.failed(error.message if isinstance(error, OperatorError) else str(error))
        return 1
    except KeyboardInterrupt:
        stage.failed("Interrupted; everything that was started has ended.")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    stage.close()
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fake(stage: Stage) -> None:
    stage.open("at work: openai's client, a gateway of its own, a simulated provider")
    with OwnGateway(["--fake"], _SETTINGS) as gateway:
        client = _begin(stage, gateway, "fake/echo")
        try:
            calls = [*_calls(stage, client), *_breaks(stage, gateway, client)]
            _record(stage, gateway, client, calls)
        finally:
            client.close()
        _end(stage, gateway)


def _ollama(stage: Stage) -> None:
    environ = environment(Path.cwd())
    url = ollama_url(environ)
    if not ollama_answers(url, timeout=2.0):
        raise OperatorError(
            f"No Ollama answers at {url}. Start it with `ollama serve`, or say where it is with OLLAMA_HOST.",
            code="no_ollama",
        )
    with openai_client(f"{url}/v1", "ollama") as direct:
        names = [model.id for model in direct.models.list() if "embed" not in model.id]
    if not names:
        raise OperatorError(
            f"The Ollama at {url} has no model that chats. Get a small one with `ollama pull smollm2:135m`.",
            code="no_model",
        )
    stage.open(f"at work: openai's client, a gateway of its own, the Ollama at {url}")
    _real(stage, [], {"OLLAMA_HOST": url}, f"ollama/{names[0]}")


def _tiny(stage: Stage) -> None:
    stage.open("at work: openai's client, a gateway of its own, a small real model (SmolLM2, 135M)")
    _real(stage, ["--tiny"], {}, "tiny/smollm2")


def _real(stage: Stage, words: Sequence[str], settings: Mapping[str, str], model: str) -> None:
    """A whole and a streamed call to a real model, and what is on record of them."""
    with OwnGateway(words, {**_SETTINGS, **settings}) as gateway:
        client = _begin(stage, gateway, model)
        try:
            whole = client.whole()
            expect(bool(whole.text.strip()), "The model should have said something.")
            stage.held("A whole call", f'"{_short(whole.text)}"', _told(whole))
            streamed = client.streamed()
            expect(bool(streamed.text.strip()), "The model should have said something.")
            stage.held("A streamed call", f'"{_short(streamed.text)}"', _told(streamed))
            rows = ledger_rows(gateway, client.ids)
            for row, said in zip(rows, (whole, streamed), strict=True):
                _expect_completed(row, said)
            show_rows(stage, [("whole", rows[0]), ("streamed", rows[1])])
            _prove(stage, gateway)
        finally:
            client.close()
        _end(stage, gateway)


def _begin(stage: Stage, gateway: OwnGateway, model: str) -> DemoClient:
    made = gateway.token("demo")
    stage.held(
        "A gateway",
        f"{gateway.url}/v1, with a data folder of its own",
        "one command, no configuration: supervisor, worker, control, recorder",
    )
    stage.held(
        "A token",
        f"{made['token_id']}, for one hour",
        "it withers; what is kept of it is a keyed digest, so it is shown once",
    )
    return DemoClient(gateway.url, made["token"], model)


def _calls(stage: Stage, client: DemoClient) -> list[tuple[str, str, Said | None]]:
    """What should go well; by what it is called: the record's id, and what the client was told."""
    names = client.models()
    expect(client.model in names, f"{client.model} should be among the models: {names}")
    stage.held(
        "Models", f"{len(names)}: {', '.join(names[:3])}, ...", "what this token may use, under one roof"
    )
    whole = client.whole()
    expect(whole.text == PROMPT, f"The echo should have given the prompt back, not {whole.text!r}.")
    stage.held(
        "A whole call",
        f'"{whole.text}"',
        f"{_told(whole)}: the bytes pass untouched, but for credential and model name",
    )
    streamed = client.streamed()
    expect(streamed.text == PROMPT, f"The stream should have given the prompt back, not {streamed.text!r}.")
    stage.held(
        "A streamed call",
        f"{streamed.events} events, the first after {streamed.first_ms:.0f} ms",
        "each is passed on as it comes; nothing is held back",
    )
    id, size = client.embedded("fake/simulated-embedding")
    expect(size > 0, "There should be a vector.")
    stage.held("Embeddings", f"{size} numbers", "any path under /v1 passes, where the token allows it")
    return [("whole", whole.id, whole), ("streamed", streamed.id, streamed), ("embeddings", id, None)]


def _breaks(stage: Stage, gateway: OwnGateway, client: DemoClient) -> list[tuple[str, str, Said | None]]:
    """What should go wrong, and be told apart."""
    cut = client.broken("fake/cut-after-3")
    stage.held(
        "A cut stream",
        f"{cut.events} events, then {_short(cut.error)}",
        "the provider hung up: a broken answer never looks like a whole one",
    )
    first = gateway.worker_pid()
    expect(first is not None, "Control should know the worker's process.")
    assert first is not None

    def kill(event: int) -> None:
        if event == _KILL_AT:
            os.kill(first, signal.SIGKILL)

    lost = client.broken("fake/pace-50ms+events-200", kill)
    expect(lost.events < 200, "The worker should have died in the middle of the stream.")

    def another() -> int | None:
        pid = gateway.worker_pid()
        return None if pid in (None, first) else pid

    second = wait_for(another, "The supervisor should have started another worker")
    stage.held(
        "A killed worker",
        f"SIGKILL to {first} after {lost.events} events; {second} took its place",
        "the call was on record before it went out, so nothing can lose it",
    )
    after = client.whole()
    expect(after.text == PROMPT, "The next call should be answered as if nothing had been.")
    return [("cut", cut.id, None), ("killed", lost.id, None), ("afterwards", after.id, after)]


def _record(
    stage: Stage, gateway: OwnGateway, client: DemoClient, calls: Sequence[tuple[str, str, Said | None]]
) -> None:
    rows = ledger_rows(gateway, [id for _, id, _ in calls])
    named = {what: row for (what, _, _), row in zip(calls, rows, strict=True)}
    total = show_rows(stage, [*named.items()])
    for what, _, said in calls:
        if said is not None:
            _expect_completed(named[what], said)
            price = said.input * FAKE_RATES["input"] + said.output * FAKE_RATES["output"]
            expect(
                named[what]["cost_pico"] == price,
                f"{said.input} + {said.output} tokens cost ${dollars(price)}, not ${named[what]['cost']}.",
            )
    for what, state in (("embeddings", "completed"), ("cut", "upstream_cut"), ("killed", "interrupted")):
        expect(
            named[what]["state"] == state,
            f"The {what} call should be on record as {state}, not {named[what]['state']}.",
        )
    expect(named["killed"]["attempts"] == 1, "The call that was killed had been tried once.")
    expect(
        named["killed"]["cost"] is None,
        "What the killed call cost is unknown, and must not be said to be known.",
    )
    expect(named["killed"]["cost_bound"] is not None, "The most that the killed call may have cost is known.")
    expect_summary(gateway, rows, total)
    stage.held(
        "Costs",
        f"${dollars(total)} in all, known to the last digit",
        "exact integers, never floats; what is unknown is said to be, with the most it may be",
    )
    _prove(stage, gateway)
    stage.held("A forged copy", forged(gateway), "one digit of one cost changed: found, by file and line")


def _prove(stage: Stage, gateway: OwnGateway) -> None:
    report = verified(gateway)
    lines, signed = sum(chain.lines for chain in report.chains), sum(chain.signed for chain in report.chains)
    stage.held(
        "audit verify",
        f"{signed} of {lines} lines in {len(report.chains)} chains are signed for, and as they were written",
        "offline, from the data folder alone; the last signature is always one ahead of itself",
    )


def _end(stage: Stage, gateway: OwnGateway) -> None:
    status = gateway.end()
    expect(status == 0, f"The gateway should have ended in order, not with status {status}.\n{gateway.log()}")


def _expect_completed(row: Row, said: Said) -> None:
    expect(row["state"] == "completed", f"A call that went well is on record as {row['state']}.")
    counted = (row["input_tokens"], row["output_tokens"])
    expect(
        counted == (said.input, said.output),
        f"The client was told {said.input} + {said.output} tokens, the ledger says {counted[0]} + "
        f"{counted[1]}.",
    )


def _told(said: Said) -> str:
    first = f", the first token after {said.first_ms:.0f} ms" if said.events else ""
    return f"{said.input} + {said.output} tokens in {said.took_ms:.0f} ms{first}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 78 else f"{line[:77]}…"
