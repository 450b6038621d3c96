"""The clauses by which the price book recognises a model's name, with the meaning they have in genai-prices.

Names are matched in lower case; the compiled texts are lower case already, but for regular expressions.
"""

import re

import msgspec


class Equals(msgspec.Struct, frozen=True, array_like=True, tag="="):
    text: str

    def matches(self, name: str) -> bool:
        return name == self.text


class StartsWith(msgspec.Struct, frozen=True, array_like=True, tag="^"):
    text: str

    def matches(self, name: str) -> bool:
        return name.startswith(self.text)


class EndsWith(msgspec.Struct, frozen=True, array_like=True, tag="$"):
    text: str

    def matches(self, name: str) -> bool:
        return name.endswith(self.text)


class Contains(msgspec.Struct, frozen=True, array_like=True, tag="~"):
    text: str

    def matches(self, name: str) -> bool:
        return self.text in name


class Regex(msgspec.Struct, frozen=True, array_like=True, tag="/"):
    pattern: str

    def matches(self, name: str) -> bool:
        return re.search(self.pattern, name) is not None  # re keeps what it has compiled


class AnyOf(msgspec.Struct, frozen=True, array_like=True, tag="|"):
    clauses: tuple["Clause", ...]

    def matches(self, name: str) -> bool:
        return any(clause.matches(name) for clause in self.clauses)


class AllOf(msgspec.Struct, frozen=True, array_like=True, tag="&"):
    clauses: tuple["Clause", ...]

    def matches(self, name: str) -> bool:
        return all(clause.matches(name) for clause in self.clauses)


def exact_names(clause: "Clause") -> tuple[str, ...] | None:
    """All names that a clause matches, where they can be told; None where it matches others too."""
    if isinstance(clause, Equals):
        return (clause.text,)
    if isinstance(clause, AnyOf):
        names = [exact_names(each) for each in clause.clauses]
        told = [each for each in names if each is not None]
        return tuple(name for each in told for name in each) if len(told) == len(names) else None
    return None


Clause = Equals | StartsWith | EndsWith | Contains | Regex | AnyOf | AllOf
