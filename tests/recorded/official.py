"""The official libraries by dialect."""

from tests.recorded.anthropic_messages import Messages
from tests.recorded.clients import Client
from tests.recorded.gemini_generate import Generate
from tests.recorded.ollama_chat import OllamaChat
from tests.recorded.openai_chat import Chat
from tests.recorded.openai_responses import Responses


def clients() -> dict[str, Client]:
    return {
        "openai.chat": Chat(),
        "openai.responses": Responses(),
        "anthropic.messages": Messages(),
        "gemini.generate": Generate(),
        "ollama.chat": OllamaChat(),
    }
