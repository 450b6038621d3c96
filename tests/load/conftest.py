"""What the proofs under load share: providers, a gateway before them, large bodies, and a way to show figures."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from tests.load.stage import Stage


def _scope(fixture_name: str, config: pytest.Config) -> Literal["module", "package"]:
    """A proof must not find what another one left in memory; the small ones share a gateway, to be quick."""
    return "module" if config.option.markexpr == "prove" else "package"


@pytest.fixture(scope=_scope)
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway for several tests."""
    with Stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture
def show(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line of figures: past pytest's capture where it is a proof, whose figures are its point."""

    def line(text: str) -> None:
        if request.node.get_closest_marker("prove") is None:
            print(text)
            return
        with capsys.disabled():
            print(text, flush=True)

    return line
