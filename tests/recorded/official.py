"""The official libraries by dialect."""

from collections.abc import Callable

from tests.recorded.anthropic_messages import Messages
from tests.recorded.clients import Client
from tests.recorded.gemini_generate import Generate
from tests.recorded.ollama_chat import OllamaChat
from tests.recorded.openai_chat import Chat
from tests.recorded.openai_responses import Responses
from tests.recorded.transport import Canned, Transport


def clients(transport: Callable[[], Transport] = Canned) -> dict[str, Client]:
    return {
        "openai.chat": Chat(transport()),
        "openai.responses": Responses(transport()),
        "anthropic.messages": Messages(transport()),
        "gemini.generate": Generate(transport()),
        "ollama.chat": OllamaChat(transport()),
    }
