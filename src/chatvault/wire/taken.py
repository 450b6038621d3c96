"""Members of a client's request, taken out of its object one by one: what is left is what nobody has heard of.
A member of another kind is refused by its path.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.json_value import Values, raw


def refused(path: str, kind: str) -> ClientError:
    return ClientError(f"The field '{path}' must be {kind}.", code="invalid_field", param=path)


def take_text(rest: Values, name: str, path: str = "") -> str | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise refused(path + name, "a string")
    return value


def take_truth(rest: Values, name: str, path: str = "") -> bool | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, bool):
        raise refused(path + name, "true or false")
    return value


def take_whole(rest: Values, name: str, path: str = "") -> int | None:
    value = rest.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise refused(path + name, "a whole number")
    return int(value)


def take_number(rest: Values, name: str, path: str = "") -> float | None:
    value = rest.pop(name, None)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise refused(path + name, "a number")
    return value


def take_list(rest: Values, name: str, path: str = "") -> list[object] | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, list):
        raise refused(path + name, "an array")
    return value


def take_object(rest: Values, name: str, path: str = "") -> Values | None:
    value = rest.pop(name, None)
    if value is not None and not isinstance(value, dict):
        raise refused(path + name, "an object")
    return value


Table = Mapping[str, tuple[str, Callable[[Values, str], object]]]
"""By a member's name: the hub's name of it, and what takes it out."""


def take_known(rest: Values, table: Table) -> dict[str, Any]:
    """The members that the table knows and that say something, by the hub's names: of many that there could
    be a request has few."""
    found: dict[str, Any] = {}
    for name in [each for each in rest if each in table]:
        field, take = table[name]
        value = take(rest, name)
        if value is not None:
            found[field] = value
    return found


def unread(rest: Mapping[str, object]) -> dict[str, msgspec.Raw] | None:
    """What is left of an object when all known members are taken out; a null says nothing."""
    if not rest:
        return None
    left = {name: raw(value) for name, value in rest.items() if value is not None}
    return left or None
