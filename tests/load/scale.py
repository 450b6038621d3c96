"""Each proof runs small in every test run, and whole in `make prove`."""

import pytest


def scaled(few: object, many: object) -> pytest.MarkDecorator:
    """Parametrizes `scale`: `few` always, `many` marked `prove`."""
    return pytest.mark.parametrize(
        "scale", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.prove)]
    )
