"""The input of a tool call: an object here, JSON text in the hub.

Text that is no JSON object goes into the member that Anthropic names for it, and comes out of it again
(https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming, seen 2026-11).
"""

from typing import Final

from chatvault.wire.json_value import Values, decode, encode

INVALID_JSON: Final = "INVALID_JSON"
CUSTOM_INPUT: Final = "input"
"""The member that holds the input of a tool that takes free text."""


def input_of(arguments: str) -> Values:
    return _object(arguments) if arguments.strip() else {}


def _object(text: str) -> Values:
    try:
        value = decode(text.encode())
    except ValueError:
        return {INVALID_JSON: text}
    return value if isinstance(value, dict) else {INVALID_JSON: text}


def arguments_of(given: object) -> str:
    """The text of an input; an absent one is an empty object."""
    if isinstance(given, dict) and given.keys() == {INVALID_JSON}:
        text = given[INVALID_JSON]
        if isinstance(text, str) and text.strip() and _object(text) == given:
            return text
    return encode(given if given is not None else {}).decode()
