"""A price, and what a usage costs at it. Exact integers of pico-dollars (10^-12 US dollars) throughout."""

import hashlib

import msgspec

from chatvault.core.usage import Usage

INPUT_FIELDS = ("input", "cached", "cache_write", "cache_write_1h", "input_audio", "input_image")
OUTPUT_FIELDS = ("output", "reasoning", "output_audio", "output_image")
OVERLAPS = ("cached_audio", "cached_image")
"""Rates without a usage field of their own: for input tokens that are at once cached and audio (or image)."""

_INPUT_RATES = (*INPUT_FIELDS, *OVERLAPS)

Tier = tuple[str, int, int]
"""(usage field, from this many input tokens on, pico-dollars a unit)."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What one model of one provider costs.

    `rates` are pico-dollars a unit by usage field; `request` is the fee of a call, `searches` that of a web
    search. A usage field without a rate costs what the field that includes it costs. A tier holds for the
    whole call: once the input is that large, all its tokens pay the tier's rate, input and output alike (the
    input decides for both).
    """

    version: str
    """Says what the price is: equal prices of a model have equal versions, whenever and wherever they are
    made."""
    provider: str
    model: str
    """The model's id in the price book, or the name a configured price is for."""
    source: str
    """`genai-prices 0.2.3` or `config`."""
    rates: dict[str, int]
    tiers: tuple[Tier, ...] = ()
    """In ascending order of their thresholds."""
    context_window: int | None = None
    """The most tokens the model takes in, where that is known."""
    output_limit: int | None = None
    """The most tokens that come out of one answer, where that is known."""
    dearest_in: int = 0
    """The highest rate of an input token, tiers left aside."""
    dearest_out: int = 0


def make_price(
    provider: str,
    model: str,
    source: str,
    rates: dict[str, int],
    tiers: tuple[Tier, ...] = (),
    context_window: int | None = None,
    output_limit: int | None = None,
) -> Price:
    """A price with its version, which depends on who charges what for which model, and not on the edition of
    the source."""
    content = (provider, model, source.partition(" ")[0], sorted(rates.items()), tiers)
    digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
    return Price(
        version=f"p_{digest[:16]}",
        provider=provider,
        model=model,
        source=source,
        rates=rates,
        tiers=tiers,
        context_window=context_window,
        output_limit=output_limit,
        dearest_in=_highest(rates, _INPUT_RATES),
        dearest_out=_highest(rates, OUTPUT_FIELDS),
    )


def cost(price: Price, usage: Usage) -> int | None:
    """Pico-dollars, exact. None where something was used that the price says nothing of: unknown is never 0.

    Each token is priced once. Where a provider's parts exceed their whole, the parts are believed.
    """
    rates = _at(price, usage.input) if price.tiers else price.rates
    get = rates.get
    plain_in, plain_out = get("input"), get("output")
    if (
        plain_in is None
        or plain_out is None
        or usage.input_audio
        or usage.input_image
        or usage.cache_write
        or usage.cache_write_1h
        or usage.output_audio
        or usage.output_image
        or usage.searches
    ):
        return _cost_of_parts(rates, usage)
    total = get("request", 0)
    if usage.cached:
        total += max(usage.input - usage.cached, 0) * plain_in + usage.cached * get("cached", plain_in)
    else:
        total += usage.input * plain_in
    if usage.reasoning:
        thought = get("reasoning", plain_out)
        total += max(usage.output - usage.reasoning, 0) * plain_out + usage.reasoning * thought
    else:
        total += usage.output * plain_out
    return total


def upper_bound(
    price: Price,
    input_bytes: int | None,
    max_output_tokens: int | None,
    *,
    choices: int = 1,
    searches: int = 0,
) -> int | None:
    """The most a call may cost, in pico-dollars; None where that has no known bound.

    `input_bytes` is the size of a request whose text is all in it: a token is at least a byte. It is None
    where the request refers to more than its bytes say (images, files, earlier responses, tools of the
    provider); then the model's context window bounds it. `max_output_tokens` is what the request allows for
    each of its `choices`; None: what the model can say at most, else the context window.
    """
    window = price.context_window
    if window is not None and price.tiers and any(start > window for _, start, _ in price.tiers):
        window = None  # a tier beyond it says that the model takes more than this
    tokens_in = input_bytes if input_bytes is not None else window
    tokens_out = max_output_tokens if max_output_tokens is not None else price.output_limit or window
    dearest_in, dearest_out = price.dearest_in, price.dearest_out
    if price.tiers:
        dearest_in = max(dearest_in, _in_tiers(price, _INPUT_RATES, tokens_in))
        dearest_out = max(dearest_out, _in_tiers(price, OUTPUT_FIELDS, tokens_in))
    fee = price.rates.get("request", 0)
    if searches:
        if "searches" not in price.rates:
            return None
        fee += searches * price.rates["searches"]
    if dearest_in:
        if tokens_in is None:
            return None
        fee += tokens_in * dearest_in
    if dearest_out:
        if tokens_out is None:
            return None
        fee += tokens_out * choices * dearest_out
    return fee


def _highest(rates: dict[str, int], fields: tuple[str, ...]) -> int:
    return max((rate for field, rate in rates.items() if field in fields), default=0)


def _in_tiers(price: Price, fields: tuple[str, ...], tokens_in: int | None) -> int:
    """The highest rate of the tiers that a call with this much input may reach."""
    reached = (
        rate
        for field, start, rate in price.tiers
        if field in fields and (tokens_in is None or start <= tokens_in)
    )
    return max(reached, default=0)


def _at(price: Price, tokens_in: int) -> dict[str, int]:
    """The rates that hold for a call with this much input."""
    rates = price.rates
    reached = {field: rate for field, start, rate in price.tiers if tokens_in >= start}
    return rates | reached if reached else rates


Part = tuple[str, int, int | None]
"""What is priced, how many units of it, and pico-dollars a unit; None: the price says nothing of it."""


def bill(price: Price, usage: Usage) -> list[Part]:
    """What `cost` multiplies and adds: each token once, and the fees. Parts of no units are left out."""
    rates = _at(price, usage.input)
    fee = rates.get("request", 0)
    parts = [("request", 1, fee)] if fee else []
    return [*parts, *(part for part in _parts(rates, usage) if part[1])]


def _cost_of_parts(rates: dict[str, int], usage: Usage) -> int | None:
    total = rates.get("request", 0)
    for _, count, rate in _parts(rates, usage):
        if count:
            if rate is None:
                return None
            total += count * rate
    return total


def _parts(rates: dict[str, int], usage: Usage) -> list[Part]:
    """Disjoint counts and their rates."""
    return [
        *_input_parts(rates, usage),
        *_output_parts(rates, usage),
        ("searches", usage.searches, rates.get("searches")),
    ]


def _input_parts(rates: dict[str, int], usage: Usage) -> list[Part]:
    """Where cached tokens and audio or images don't fit beside each other into the input, they overlap: such tokens are
    cached audio, cached images, and the cheaper text is cached first."""
    plain = rates.get("input")
    cached_rate = rates.get("cached", plain)
    write_rate = rates.get("cache_write", plain)
    cached, audio, image = usage.cached, usage.input_audio, usage.input_image
    rest = usage.input - cached - usage.cache_write - usage.cache_write_1h - audio - image
    cached_audio = min(max(-rest, 0), cached, audio)
    cached_image = min(max(-rest - cached_audio, 0), cached - cached_audio, image)
    return [
        ("input", max(rest, 0), plain),
        ("cached", cached - cached_audio - cached_image, cached_rate),
        ("cached_audio", cached_audio, rates.get("cached_audio", cached_rate)),
        ("cached_image", cached_image, rates.get("cached_image", cached_rate)),
        ("cache_write", usage.cache_write, write_rate),
        ("cache_write_1h", usage.cache_write_1h, rates.get("cache_write_1h", write_rate)),
        ("input_audio", audio - cached_audio, rates.get("input_audio", plain)),
        ("input_image", image - cached_image, rates.get("input_image", plain)),
    ]


def _output_parts(rates: dict[str, int], usage: Usage) -> list[Part]:
    """Reasoning that does not fit beside audio and images is part of these."""
    plain = rates.get("output")
    shaped = usage.output_audio + usage.output_image
    rest = usage.output - usage.reasoning - shaped
    reasoning = usage.reasoning - min(max(-rest, 0), usage.reasoning, shaped)
    return [
        ("output", max(rest, 0), plain),
        ("reasoning", reasoning, rates.get("reasoning", plain)),
        ("output_audio", usage.output_audio, rates.get("output_audio", plain)),
        ("output_image", usage.output_image, rates.get("output_image", plain)),
    ]
