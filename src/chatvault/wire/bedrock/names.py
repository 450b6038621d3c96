"""What Bedrock calls itself."""

from typing import Final

DIALECT: Final = "bedrock.converse"
STREAM_TYPE: Final = b"application/vnd.amazon.eventstream"
