"""The link between the supervisor and a child: a socket pair, and a JSON text a line each way.

The supervisor's first line holds the child's options. The child says when it is ready, and why it failed. The
end of the link means that the other side is dead, so a child outlives its supervisor by no more than it takes
to put its calls on record.
"""

import msgspec


class Start(msgspec.Struct, frozen=True, tag="start", tag_field="link"):
    """What a child is to be. `options` is decoded by the child of that kind; `listeners` are inherited
    descriptors."""

    kind: str
    number: int
    options: msgspec.Raw
    listeners: dict[str, int] = {}
    log_level: str = "info"


class Stop(msgspec.Struct, frozen=True, tag="stop", tag_field="link"):
    """End in order. `grace` is how many seconds open calls may still take."""

    grace: float


class Reload(msgspec.Struct, frozen=True, tag="reload", tag_field="link"):
    """Read the configuration again."""


class Told(msgspec.Struct, frozen=True, tag="told", tag_field="link"):
    """The operator has seen the first tokens."""


ToChild = Start | Stop | Reload | Told

encode = msgspec.json.Encoder().encode
decode_to_child = msgspec.json.Decoder(ToChild).decode


def line(message: msgspec.Struct) -> bytes:
    return encode(message) + b"\n"
