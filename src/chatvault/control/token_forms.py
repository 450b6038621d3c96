"""What `/manage/tokens` takes."""

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from chatvault.access.token import DEFAULT_PROJECT
from chatvault.config.networks import parse_networks
from chatvault.control.forms import Count, Form, Identifier, LimitsForm, Name, Pattern, Patterns

_LONGEST_HOURS: Final = 24 * 366 * 100
Hours = Annotated[float, Field(gt=0, le=_LONGEST_HOURS, allow_inf_nan=False)]
Tags = Annotated[list[Pattern], Field(max_length=50)]
Metadata = Annotated[dict[Pattern, Annotated[str, Field(max_length=1000)]], Field(max_length=50)]


class Bounded(Form):
    """What a token may do, and how much."""

    models: Patterns | None = None
    endpoints: Patterns | None = None
    networks: Patterns | None = None
    """Addresses and networks, such as 10.0.0.0/8, that its clients must come from."""
    idle_hours: Hours | None = None
    """Without a call for so long, it has expired."""
    max_requests: Count | None = None
    """Calls in all."""
    limits: LimitsForm | None = None

    @field_validator("networks")
    @classmethod
    def _networks(cls, names: list[str] | None) -> list[str] | None:
        parse_networks(names or ())
        return names


class NewToken(Bounded):
    """What `POST /manage/tokens` takes. Without `duration_hours` or `expires_at` the token does not expire; without
    `limits` it has those of the setting `limits.default_requests_per_hour`, with `{}` none."""

    name: Name
    kind: Literal["client", "management"] = "client"
    project_id: Identifier = DEFAULT_PROJECT
    user_id: Identifier | None = None
    duration_hours: Hours | None = None
    expires_at: str | None = None
    tags: Tags = Field(default=[])
    metadata: Metadata = Field(default={})


class MintedToken(Bounded):
    """What `POST /v1/tokens` takes on the data port: a token below the one that asks. Without `duration_hours` or
    `expires_at` it holds for an hour, or as long as the one that asks."""

    name: Name
    duration_hours: Hours | None = None
    expires_at: str | None = None
    tags: Tags = Field(default=[])
    metadata: Metadata = Field(default={})


class ChangedToken(Bounded):
    """What `PATCH /manage/tokens/{token_id}` takes: what is to change. `null` takes a bound or a limit away."""

    name: Name | None = None
    duration_hours: Hours | None = None
    expires_at: str | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None


class Rotation(Form):
    """What `POST /manage/tokens/{token_id}/rotate` takes. `grace_hours`: how long the secret before still holds."""

    grace_hours: Annotated[float, Field(ge=0, le=24 * 90, allow_inf_nan=False)] = 24.0


class Revocation(Form):
    """What `POST /manage/tokens/revoke` takes: all client tokens of a project, of one of its users, with a tag, or that
    a token minted. At least one of them."""

    project_id: Identifier | None = None
    user_id: Identifier | None = None
    tag: Pattern | None = None
    parent_id: Pattern | None = None


class Named(Form):
    """What `DELETE /manage/tokens` takes: the token itself."""

    token: Annotated[str, Field(min_length=1, max_length=500)]
