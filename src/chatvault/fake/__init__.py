"""A provider that speaks the APIs of OpenAI, Anthropic, Gemini and Ollama, with faults and delays on
demand: for demo, tests, benchmarks."""

from chatvault.fake.server import FakeProvider

__all__ = ["FakeProvider"]
