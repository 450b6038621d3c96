"""The versions that are locked, and so tested."""

import json
import re
from collections.abc import Iterator

from tests.clients.program import HERE, ROOT

PYTHON = {
    "clients": (
        "openai", "anthropic", "google-genai", "ollama", "langchain", "langchain-openai", "langchain-anthropic",
        "langchain-google-genai", "langchain-ollama", "pydantic-ai-slim",
    ),
    "llamaindex": (
        "llama-index-core", "llama-index-llms-openai", "llama-index-llms-openai-like", "llama-index-llms-anthropic",
        "llama-index-llms-google-genai", "llama-index-llms-ollama",
    ),
    "aider": ("aider-chat",),
}  # fmt: skip
"""By lock: what is driven of it. The rest is what these need."""


def versions() -> Iterator[tuple[str, str]]:
    """Each client's name as on docs/clients.md, and its version."""
    for lock, names in PYTHON.items():
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        for name in names:
            found = re.search(rf"^{re.escape(name)}==(\S+)", text, re.MULTILINE)
            assert found is not None, f"requirements/{lock}.txt has no {name}"
            yield f"{name} (Python)", found[1]
    for folder in ("node", "agents"):
        wanted = json.loads((HERE / folder / "package.json").read_text())["dependencies"]
        locked = json.loads((HERE / folder / "package-lock.json").read_text())["packages"]
        for name in wanted.keys() - {"zod"}:
            yield f"{name} (Node)", locked[f"node_modules/{name}"]["version"]
