"""What a call used, normalised once: whatever the provider's way of counting, no token is counted twice."""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens and other billed units of one call.

    `input` is everything that went in: it includes `cached`, `cache_write`, `cache_write_1h`, `input_audio`
    and `input_image`. `output` is everything that came out: it includes `reasoning`, `output_audio` and
    `output_image`.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    searches: int = 0
