"""The model `scripted` does what the user's words say, a step a line: so a conversation of several turns with tools
goes the same way in every dialect, and through every client that wraps those words in others.

    call: weather {"city": "Paris"}
    call: clock {"zone": "UTC"}
    say: It is {result}.

A step is done for each result of a tool that stands behind the script; `{result}` is the last one. The steps of the
user's last message that has any count. Where a request brings no tools (a client asks for a title, say), the first
`say:` is answered; a script at its end gives the last result back.
"""

import re
from typing import Any

import msgspec

from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.errors import Refusal

SCRIPTED = "scripted"
STEP = re.compile(r"(?<!\w)(call|say):[ \t]+(.*?)[ \t]*$", re.MULTILINE)
"""To the end of the line; what stands before it may be a client's own words, put into the same message."""


def next_step(ask: Ask) -> tuple[Tool | None, str]:
    """The tool to call with its arguments as JSON, or None and what to say. Raises Refusal (400) for a script that
    cannot be followed."""
    steps, results = _script(ask.turns)
    if not steps:
        raise Refusal(400, f"The model {SCRIPTED!r} finds no line 'call: NAME {{JSON}}' or 'say: TEXT'.")
    left = steps[len(results) :] if ask.tools else [step for step in steps if step[0] == "say"]
    last = results[-1] if results else ""
    if not left:
        return None, last
    verb, rest = left[0]
    return _call(ask.tools, rest) if verb == "call" else (None, rest.replace("{result}", last))


def _script(turns: tuple[Turn, ...]) -> tuple[list[tuple[str, str]], list[str]]:
    """The steps, and the results of tools behind them."""
    results: list[str] = []
    for turn in reversed(turns):
        if turn.role == "tool":
            results.insert(0, turn.text)
        elif turn.role == "user" and (steps := STEP.findall(turn.text)):
            return steps, results
    return [], results


def _call(tools: tuple[Tool, ...], rest: str) -> tuple[Tool, str]:
    name, _, arguments = rest.partition(" ")
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        there = ", ".join(tool.name for tool in tools)
        raise Refusal(
            400, f"The script calls {name!r}, which is not among the tools: {there}.", param="tools"
        )
    if tool.custom:
        return tool, arguments
    try:
        msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except msgspec.DecodeError as fault:
        raise Refusal(400, f"The script calls {name!r} with what is no JSON object: {fault}.") from fault
    return tool, arguments or "{}"
