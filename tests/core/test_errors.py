"""The error tree: whose fault it is, and with which status."""

import re

import pytest

from chatvault.core import errors
from chatvault.core.errors import (
    AuthenticationError,
    BudgetExceeded,
    ChatVaultError,
    ClientError,
    GatewayError,
    JournalError,
    NotFound,
    OperatorError,
    PermissionDenied,
    RateLimited,
    Timeout,
    TooLarge,
    Unavailable,
    UpstreamError,
)

TREE: dict[type[ChatVaultError], tuple[type[ChatVaultError], int]] = {
    ClientError: (ChatVaultError, 400),
    AuthenticationError: (ClientError, 401),
    PermissionDenied: (ClientError, 403),
    NotFound: (ClientError, 404),
    TooLarge: (ClientError, 413),
    RateLimited: (ClientError, 429),
    BudgetExceeded: (RateLimited, 429),
    Timeout: (ClientError, 408),
    UpstreamError: (ChatVaultError, 502),
    GatewayError: (ChatVaultError, 500),
    Unavailable: (GatewayError, 503),
    OperatorError: (ChatVaultError, 500),
    JournalError: (OperatorError, 500),
}


@pytest.mark.parametrize("kind", TREE)
def test_the_tree(kind: type[ChatVaultError]) -> None:
    parent, status = TREE[kind]
    assert kind.__bases__ == (parent,)
    error = kind("It was so. Do this.", code="a_code")
    assert (error.http_status, error.code, error.message) == (status, "a_code", "It was so. Do this.")
    assert str(error) == error.message
    assert error.kind.endswith("_error") or kind is BudgetExceeded  # OpenAI's word for it: insufficient_quota


def test_every_error_is_in_the_tree_and_in_its_drawing() -> None:
    there = {
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, ChatVaultError)
    }
    assert there == TREE.keys() | {ChatVaultError}
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    assert {each.__name__ for each in there} <= set(drawn)


def test_an_error_can_say_more() -> None:
    error = ClientError("No.", code="c", param="model", status=417, retry_after=3)
    assert (error.http_status, error.param, error.retry_after) == (417, "model", 3)
    plain = Unavailable("Not now.", code="c")
    assert (plain.param, plain.retry_after) == (None, None)
    assert JournalError("Full.").code == "journal_unavailable"
    assert OperatorError("Wrong.").code == "operator_error"
