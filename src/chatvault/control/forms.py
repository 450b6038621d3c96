"""What several requests are made of: identifiers, names, patterns, limits. Each form refuses what it does not know."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from chatvault.access.limits import Limits

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=1000)]

_MOST: Final = 10**15
Count = Annotated[int, Field(ge=0, le=_MOST, strict=True)]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def named(self) -> set[str]:
        """The fields that the client sent; what it sent as null is meant to be taken away."""
        return self.model_fields_set


class LimitsForm(Form):
    """Windows that slide, and calls under way at a time; a limit that is left out does not hold. `shadow` only records
    what would have been refused."""

    requests_per_minute: Count | None = None
    requests_per_hour: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_minute: Count | None = None
    tokens_per_hour: Count | None = None
    tokens_per_day: Count | None = None
    concurrent: Count | None = None
    shadow: bool = False

    def limits(self) -> Limits | None:
        """None where nothing is limited."""
        limits = Limits(**self.model_dump())
        return limits if limits.rules() or limits.concurrent is not None else None


def limits_of(form: LimitsForm | None) -> Limits | None:
    return None if form is None else form.limits()


def shown_limits(limits: Limits | None) -> dict[str, object] | None:
    """Limits as the API shows them: those that hold."""
    if limits is None:
        return None
    values = {name: getattr(limits, name) for name in Limits.__struct_fields__}
    return {name: value for name, value in values.items() if value is not None and value is not False}
