"""What Ollama calls itself."""

from typing import Final

DIALECT: Final = "ollama.chat"
GENERATE: Final = "ollama.generate"
"""The origin of what was asked of `/api/generate`."""
