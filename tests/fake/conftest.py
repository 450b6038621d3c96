"""A simulated provider for each test."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from chatvault.fake import FakeProvider


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def client(fake: FakeProvider) -> AsyncIterator[AsyncOpenAI]:
    """The real client library, aimed at the simulated provider."""
    async with AsyncOpenAI(base_url=fake.base_url, api_key="any", max_retries=0) as library:
        yield library
