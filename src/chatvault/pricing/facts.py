"""What is known of models beside their prices: limits, what goes in and comes out, abilities, dates.

Dated data of several sources, compiled ahead into `data/facts.json` (`pricing/compile_facts.py`), read one
provider at a time and on first use. What no source says is None: not known, which is not the same as no.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chatvault.config.schema import ModelConfig

DATA: Final = Path(__file__).parent / "data" / "facts.json"

Kind = Literal[
    "chat", "embedding", "image", "video", "speech", "transcription", "realtime", "rerank", "moderation"
]
"""What a model does, by what it is asked for."""


class Facts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Limits are tokens; dates are `YYYY-MM-DD`, `YYYY-MM` or `YYYY`."""

    name: str | None = None
    """For people; None where it says no more than the id."""
    kind: Kind | None = None
    context: int | None = None
    """The most of input and output together."""
    input: int | None = None
    """The most that goes in."""
    output: int | None = None
    """The most that comes out, reasoning included."""
    inputs: tuple[str, ...] | None = None
    """Kinds of what goes in: `text`, `image`, `audio`, `video`, `pdf`."""
    outputs: tuple[str, ...] | None = None
    tools: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    """It keeps to a JSON schema it is given."""
    released: str | None = None
    knowledge: str | None = None
    """Where what it knows of the world ends."""
    retires: str | None = None
    """The day it stops being served, or stopped."""
    deprecated: bool = False


CONFIGURABLE: Final = tuple(
    field for field in Facts.__struct_fields__ if field in ModelConfig.__struct_fields__
)
"""Facts that the configuration may say of a model."""
UNKNOWN: Final = Facts()


class FactFile(msgspec.Struct, frozen=True):
    """The compiled file: by a provider's id in the price book, facts by the model's name in lower case."""

    sources: tuple[str, ...]
    providers: dict[str, msgspec.Raw]


def configured(models: Mapping[str, ModelConfig]) -> dict[str, dict[str, Any]]:
    """What the configuration says of models, by `provider/model`; it holds over what the file says."""
    found = {}
    for name, said in models.items():
        facts = {field: value for field in CONFIGURABLE if (value := getattr(said, field)) is not None}
        if facts:
            found[f"{said.provider}/{said.model or name}"] = facts
    return found


class FactShelves:
    """The facts of all providers, each read when it is first asked for."""

    def __init__(self, data: bytes | None = None) -> None:
        self._file = msgspec.json.decode(data if data is not None else DATA.read_bytes(), type=FactFile)
        self._shelves: dict[str, dict[str, Facts]] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        return self._file.sources

    def find(self, provider_ids: Iterable[str], names: Iterable[str]) -> Facts | None:
        """The facts of the first provider that knows one of the names (in lower case, the best first)."""
        names = tuple(names)
        for provider_id in provider_ids:
            shelf = self._shelf(provider_id)
            for name in names:
                if name in shelf:
                    return shelf[name]
        return None

    def _shelf(self, provider_id: str) -> dict[str, Facts]:
        shelf = self._shelves.get(provider_id)
        if shelf is None:
            raw = self._file.providers.get(provider_id)
            shelf = msgspec.json.decode(raw, type=dict[str, Facts]) if raw is not None else {}
            self._shelves[provider_id] = shelf
        return shelf
