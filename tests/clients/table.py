"""Which client libraries are tested, and how each is run. docs/clients.md names each of them."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.clients.program import HERE, NODE, ROOT


class Library(msgspec.Struct, frozen=True):
    """A program of `python/` or `node/`, and the word it is given for what it speaks."""

    package: str
    kind: str
    endpoint: str
    """What the gateway calls the path where that is asked."""
    file: str
    venv: str = ""
    """Where its packages are; empty for Node's."""
    picky: bool = False
    """It works with models that it knows by name only, so the gateway calls its models by such names."""

    @property
    def id(self) -> str:
        return f"{self.package}-{self.kind}"

    @property
    def _python(self) -> Path:
        return ROOT / self.venv / "bin" / "python"

    def missing(self) -> str | None:
        """Why it cannot be run; None if it can."""
        there = ROOT / self.venv if self.venv else NODE / "node_modules"
        whole = (there / ".stamp").exists()
        return None if whole else f"no {there.relative_to(ROOT)}: make clients installs it"

    def words(self, url: str, token: str) -> list[str]:
        """What starts it."""
        run = [str(self._python), str(HERE / "python" / self.file)]
        return [*(run if self.venv else ["node", str(NODE / self.file)]), self.kind, url, token]


def _rows(package: str, file: str, kinds: Mapping[str, str], venv: str = ".venv-clients") -> list[Library]:
    return [Library(package, kind, endpoint, file, venv) for kind, endpoint in kinds.items()]


_CHAT = {"openai": "chat.completions"}
_RESPONSES = {"responses": "responses"}
_CLAUDE = {"anthropic": "messages"}
_GEMINI = {"google": "generateContent"}
_OLLAMA = {"ollama": "api.chat"}
_ALL = _CHAT | _RESPONSES | _CLAUDE | _GEMINI | _OLLAMA


def _by_name(row: Library) -> Library:
    """They know what Anthropic's models can do by their names."""
    return msgspec.structs.replace(row, picky=row.kind == "anthropic")


LIBRARIES = (
    *_rows("openai", "with_openai.py", {"chat": "chat.completions"} | _RESPONSES),
    *_rows("anthropic", "with_anthropic.py", {"messages": "messages"}),
    *_rows("google-genai", "with_genai.py", {"generate": "generateContent"}),
    *_rows("ollama", "with_ollama.py", {"chat": "api.chat"}),
    *_rows("langchain", "with_langchain.py", _ALL),
    *map(_by_name, _rows("pydantic-ai", "with_pydantic_ai.py", _ALL | {"ollama": "chat.completions"})),
    *map(_by_name, _rows("llama-index", "with_llama_index.py", _ALL, ".venv-llamaindex")),
    *_rows("node-openai", "with_openai.mjs", {"chat": "chat.completions"} | _RESPONSES, ""),
    *_rows("node-anthropic", "with_anthropic.mjs", {"messages": "messages"}, ""),
    *_rows("node-genai", "with_genai.mjs", {"generate": "generateContent"}, ""),
    *_rows("node-ollama", "with_ollama.mjs", {"chat": "api.chat"}, ""),
    *_rows("ai-sdk", "with_ai.mjs", _CHAT | _RESPONSES | _CLAUDE | _GEMINI, ""),
)
