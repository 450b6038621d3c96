"""`bedrock.converse` as a dialect of the hub: one that providers are asked in. No client asks in it."""

from typing import Final

from chatvault.wire.bedrock import errors, request_writer
from chatvault.wire.bedrock.names import DIALECT
from chatvault.wire.bedrock.reply_reader import ReplyStream, read_reply
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import AnsweringDialect, StreamReader
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed


class BedrockConverse:
    """Sans-IO and without state."""

    name = DIALECT

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return request_writer.write_request(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return request_writer.request_path(conversation)

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        return read_reply(body)

    def stream_reader(self) -> StreamReader:
        return ReplyStream()

    def read_error(self, status: int, body: bytes) -> Failed:
        return errors.read_error(status, body)


CONVERSE: Final[AnsweringDialect] = BedrockConverse()
