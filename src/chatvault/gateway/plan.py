"""Where the calls of one grant to one endpoint for one model go, decided once and kept while the configuration
lasts."""

import msgspec

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.gateway.speech import Spoken
from chatvault.pricing.price import Price
from chatvault.routing.targets import Target


class Plan(msgspec.Struct, gc=False):
    """`answering` is the dialect the provider is asked in; `spoken`: it has an API of the client's family."""

    provider: ProviderSnapshot
    target: Target
    answering: Spoken
    spoken: bool
    name: bytes | None
    """The model's name as the provider has it, as JSON, where it is not the one that was asked for."""
    tells_usage: bool
    """The provider tells a stream's usage if it is asked to."""
    free: bool
    """The provider bills nothing for such calls."""
    reshaped: bool
    """The provider's home of the dialect has something elsewhere than the client may say it."""
    framed: bool
    """It answers as Anthropic does, in Bedrock's frames."""
    price: Price | None = None
    since: int = 0
    until: int = 0
    """The price holds from `since` until then, in microseconds since the epoch, and is on record."""
