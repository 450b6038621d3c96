"""What a stream used that never told: an estimate, and on record as one.

Input: four bytes of request a token. Output: a token an event that carried content, or four bytes of content
a token if that is more, where an event's content is what the latest event holds beyond its frame. Both are
rough; that they are is said beside them.
"""

from chatvault.core.usage import Usage
from chatvault.wire.openai.stream import CONTENT
from chatvault.wire.tap import Tap


def estimate(input_bytes: int, tap: Tap) -> Usage:
    """The usage of a stream that broke, from the bytes that went in and the events that came out."""
    held = sum(len(text) for text in CONTENT.findall(tap.last))
    frames = (len(tap.last) - held) * tap.plain // max(tap.last.count(b"data:"), 1)
    return Usage(input=-(-input_bytes // 4), output=max(tap.plain, (tap.plain_size - frames) // 4))
