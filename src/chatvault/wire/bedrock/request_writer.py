"""A conversation as a request in Bedrock's words
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, 2026-11).
"""

from urllib.parse import quote

from chatvault.wire.bedrock.models import model_facts
from chatvault.wire.bedrock.settings_writer import SettingsWriter
from chatvault.wire.bedrock.tools_writer import write_tools
from chatvault.wire.bedrock.turns import Turns
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.json_value import Values, encode


def write_request(conversation: Conversation, dropped: Dropped) -> bytes:
    facts = model_facts(conversation.model)
    turns = Turns(conversation, facts, dropped)
    out: Values = {"messages": turns.messages}
    if turns.system:
        out["system"] = turns.system
    answer = SettingsWriter(conversation, facts, dropped, out).write()
    tools = write_tools(conversation, turns.called, answer, facts, dropped)
    if tools is not None:
        out["toolConfig"] = tools
    return encode(out)


def request_path(conversation: Conversation) -> bytes:
    return model_path(conversation.model, "converse-stream" if conversation.stream else "converse")


def model_path(model: str, verb: str) -> bytes:
    """The path below the base URL. A model's name is one segment, whatever is in it."""
    return f"/model/{quote(model, safe='')}/{verb}".encode()
