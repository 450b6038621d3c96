"""A provider that speaks OpenAI's API, with faults and delays on demand: for demo, tests, benchmarks."""

from chatvault.fake.server import FakeProvider

__all__ = ["FakeProvider"]
