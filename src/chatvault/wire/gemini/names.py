"""Protocol Buffers' JSON takes field names in camelCase and in snake_case
(https://protobuf.dev/programming-guides/json/, seen 2026-11); here they are camelCase from the reading on.
"""

import re
from typing import Final

from chatvault.wire.json_value import Values

DIALECT: Final = "gemini.generate"
_STEP: Final = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def camel(value: Values) -> Values:
    """The object with its own field names in camelCase; what lies below is as it was."""
    if "_" not in "".join(value):
        return value
    return {_STEP.sub(_upper, name): each for name, each in value.items()}


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()
