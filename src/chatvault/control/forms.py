"""What several requests are made of: identifiers, names, patterns, limits. Each form refuses what it does not know."""

from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chatvault.access.limits import Limits
from chatvault.core.errors import ClientError

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


Some = TypeVar("Some", bound=Form)


def filled(form: type[Some], text: str) -> Some:
    """A form, from JSON that did not come over this port. Raises ClientError that names the first field at fault."""
    try:
        return form.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise ClientError("The body is not JSON.", code="invalid_json") from None
        param = ".".join(map(str, first["loc"])) or None
        what = f"{param}: {first['msg']}" if param else first["msg"]
        raise ClientError(f"The request is not valid: {what}.", code="invalid_request", param=param) from None


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
