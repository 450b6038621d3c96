"""A configuration before it has types: texts, lists and mappings, each with the place it comes from."""

import msgspec


class Leaf(msgspec.Struct, frozen=True):
    """`text` is None where nothing is set (`null`, or no value at all). `where` names the place:
    `config.yaml:3`."""

    text: str | None
    where: str


class Items(msgspec.Struct, frozen=True):
    items: tuple["Tree", ...]
    where: str


class Branch(msgspec.Struct, frozen=True):
    entries: dict[str, "Tree"]
    where: str
    keys: dict[str, str] = {}
    """Where each key stands."""

    def where_of(self, key: str) -> str:
        return self.keys.get(key, self.where)


Tree = Leaf | Items | Branch


def graft(base: Branch, path: tuple[str, ...], value: Tree) -> Branch:
    """`base` with `value` at `path`, in place of what was there. Branches that are missing are made."""
    key, rest = path[0], path[1:]
    if rest:
        under = base.entries.get(key)
        value = graft(under if isinstance(under, Branch) else Branch({}, value.where), rest, value)
    return Branch(base.entries | {key: value}, base.where, base.keys | {key: value.where})


def planted(value: object, where: str) -> Tree:
    """A tree of plain values: mappings, lists, tuples, and what `str` can say."""
    if isinstance(value, dict):
        return Branch({str(key): planted(entry, where) for key, entry in value.items()}, where)
    if isinstance(value, list | tuple):
        return Items(tuple(planted(item, where) for item in value), where)
    if isinstance(value, bool):
        return Leaf("true" if value else "false", where)
    return Leaf(None if value is None else str(value), where)
