"""What a provider is that needs no code of its own: where it listens, how a call is signed, what it speaks."""

import msgspec


class FaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A family of dialects as a provider speaks it."""

    dialects: tuple[str, ...]
    """What the provider documents."""
    path: str = ""
    """Below the provider's root, with the version (`/v1`)."""
    auth_header: str = "authorization"
    auth_format: str = "Bearer {key}"
    headers: dict[str, str] = {}
    """Sent with every call."""
    sets: dict[str, str] = {}
    """Fields that a request's body has to have here."""
    drops: tuple[str, ...] = ()
    """Fields that a conversation's body must not have here, since they stand in the path."""
    moves: dict[str, str] = {}
    """Fields of the client's head that are lists in the body here."""
    claims: tuple[str, ...] = ()
    """What the names of its models begin with (behind a star: hold): they are asked here and nowhere else. Empty:
    whatever no other face claims."""

    def signed(self, key: str) -> dict[str, str]:
        """The header field that carries a key."""
        return {self.auth_header: self.auth_format.format(key=key)}


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that needs no code of its own. What the configuration says of an account holds over its
    row."""

    name: str
    root: str | None = None
    """What all of its faces lie under. `{NAME}` stands for a variable of the environment that has to be set.
    None: the operator has to say it."""
    faces: dict[str, FaceRow]
    """By family of dialects, the preferred first."""
    rooted: bool = False
    """Its official library wants the base URL without the version: what is no face's URL is the root."""
    base_url_env: str
    """As the provider's own library names it, where it has one."""
    key_env: tuple[str, ...] = ()
    """The first that is set holds the credential."""
    bearer_env: tuple[str, ...] = ()
    """Where no key is set: the first that is set holds a token, which goes as `Authorization: Bearer`."""
    other_env: tuple[str, ...] = ()
    """What else of the environment says something of it."""
    key_required: bool = True
    docs: str
    price_id: str | None = None
    """Its id in the price book; None where the book does not know it."""
    stream_usage: bool = True
    """Whether it takes `stream_options.include_usage`."""
    local: bool = False
    """Runs on the operator's own machines: a call costs nothing."""
    models: tuple[str, ...] = ()
    """Models it has, where the price book says nothing of it."""
    deployed: bool = False
    """It has the models that the operator deployed there, under names of the operator's choice."""

    @property
    def base_url(self) -> str | None:
        """Of its main face: `openai` where there is one, else the first."""
        return None if self.root is None else self.root + self.faces[self.main].path

    @property
    def address(self) -> str | None:
        """The base URL as its own library wants it."""
        return self.root if self.rooted else self.base_url

    @property
    def main(self) -> str:
        return "openai" if "openai" in self.faces else next(iter(self.faces))

    @property
    def dialects(self) -> tuple[str, ...]:
        """Over all faces, the preferred first."""
        return tuple(dialect for face in self.faces.values() for dialect in face.dialects)

    @property
    def credentials(self) -> frozenset[str]:
        """The header fields that may hold a credential."""
        return frozenset({"authorization", *(face.auth_header for face in self.faces.values())})

    @property
    def variables(self) -> tuple[str, ...]:
        """Of the environment, that say something of it."""
        return tuple(filter(None, (*self.key_env, *self.bearer_env, self.base_url_env, *self.other_env)))
