"""Real coding agents, each asked to run a command and to tell what came of it, by a provider of every dialect."""

import asyncio
from pathlib import Path

import pytest

from tests.clients.agents import AGENTS, Agent, Setup, environment
from tests.clients.stage import PROVIDERS, before_all

_WAIT = 120.0


async def said_by(agent: Agent, setup: Setup, prompt: str) -> str:
    """All that it wrote. It has a new home and a time."""
    project = setup.home / "project"
    project.mkdir(parents=True)
    run = agent.run(setup, agent.model, prompt)
    process = await asyncio.create_subprocess_exec(
        str(agent.command),
        *run.words[1:],
        cwd=project,
        env=environment(agent, run, setup.home),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_WAIT):
            said, _ = await process.communicate(run.input.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = said.decode("utf-8", "replace")
    assert process.returncode == 0, text
    return text


@pytest.mark.clients
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
async def test_an_agent_runs_a_command_and_tells(tmp_path: Path, agent: Agent, provider: str) -> None:
    missing = agent.missing()
    if missing is not None:
        pytest.skip(missing)
    call = f"call: {agent.call}\n" if agent.call else ""
    async with before_all(tmp_path, {agent.model: f"{provider}/scripted"}) as (gate, fakes):
        setup = Setup(gate.base_url.removesuffix("/v1"), gate.token, tmp_path / "home")
        text = await said_by(agent, setup, f"{call}say: That is it: {{result}}")
        await gate.settled(2 if call else 1)
        records = await gate.records()
        assert fakes[provider].stats.requests == len(records.closed)
    assert "That is it:" in text
    assert "hi-from-42" in text or not call
    assert not records.refused
    asked = {(line.endpoint, line.model, line.state) for line in records.closed}
    assert asked <= {
        (endpoint, agent.model, "completed")
        for endpoint in (agent.endpoint, "messages.count_tokens", "generateContent")
    }
