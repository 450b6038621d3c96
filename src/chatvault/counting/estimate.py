"""From sizes to tokens: plain arithmetic in whole numbers, the same on every machine."""

from chatvault.core.sizes import Sizes
from chatvault.core.usage import Usage
from chatvault.counting.families import Family, tokens


def input_tokens(sizes: Sizes, family: Family) -> int:
    """What a request comes to. Images and files count as usual ones do."""
    text = tokens(sizes.text, family) + tokens(sizes.schema, family) * family.schema // 100
    beyond = family.base + sizes.media * family.media + (family.tools if sizes.tools else 0)
    return beyond + (text + sizes.messages * family.message + 50) // 100


def output_tokens(sizes: Sizes, family: Family) -> int:
    """What an answer comes to, as far as it came. Thoughts that were not shown are not in it."""
    return max(sizes.events, (tokens(sizes.said, family) + 50) // 100)


def estimate(sizes: Sizes, family: Family) -> Usage:
    return Usage(input=input_tokens(sizes, family), output=output_tokens(sizes, family))
