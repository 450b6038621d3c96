"""A recorded request, told in another dialect: valid there, and the same when it comes back, but for what was
reported as dropped.
"""

import base64
import json
import re
from typing import Any, Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.hub.conversation import Conversation, Output, Reasoning, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import effort_of
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult
from chatvault.wire.hub.paths import field_path, message_path, part_path, tool_path
from tests.recorded.bedrock_converse import Asking
from tests.recorded.clients import Client
from tests.recorded.exchanges import DIALECTS, Exchange

FIELDS: Final = (
    "max_output",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "seed",
    "choices",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
    "service_tier",
    "modalities",
    "verbosity",
    "parallel_tools",
)


DEFAULTS: Final[dict[str, tuple[Any, ...]]] = {
    "choices": (1,),
    "parallel_tools": (True,),
    "modalities": (("text",),),
    "service_tier": ("auto", "default", "standard", "standard_only", "on_demand"),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
}
"""What is meant where nothing is said."""


class Plain(msgspec.Struct):
    """A conversation as far as several dialects can tell it. `parts` are (role, what it is); neighbours that
    are text are one."""

    fields: dict[str, Any] = {}
    system: str = ""
    parts: list[tuple[str, list[Any]]] = []
    tools: list[list[Any]] = []


class Losses:
    """What was reported as dropped, as the client named it."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths

    def whole(self, path: str) -> bool:
        """The thing at `path` was dropped, or what it stands in."""
        return any(path == each or path.startswith((each + ".", each + "[")) for each in self._paths)

    def inside(self, path: str) -> bool:
        """Something in it was dropped."""
        return any(each.startswith((path + ".", path + "[")) for each in self._paths)

    def touches(self, path: str) -> bool:
        return self.whole(path) or self.inside(path)


def read(dialect: str, exchange: Exchange) -> Conversation | None:
    """None for one that cannot be understood, as its provider may have found, too."""
    body = exchange.request
    if body is None or dialect not in DIALECTS:
        return None
    try:
        asked = DIALECTS[dialect].read_request(
            body,
            model="m" if dialect == "gemini.generate" else None,
            stream=bool(exchange.streaming) if dialect == "gemini.generate" else None,
        )
    except ClientError:
        return None
    # Some providers name the model in the path.
    return asked if asked.model else msgspec.structs.replace(asked, model="m")


class NotForIt(Exception):
    """The target's dialect has no way to say it, and the client was told which field is at fault."""


def judge(asked: Conversation, target: str, client: Client | Asking) -> tuple[list[str], tuple[str, ...]]:
    """What is wrong with it in `target`, and what was reported as dropped. Raises NotForIt."""
    dropped = Dropped()
    writer = client if isinstance(client, Asking) else DIALECTS[target]
    try:
        body = writer.write_request(asked, dropped)
    except ClientError as error:
        if error.http_status == 400 and error.param:
            raise NotForIt(error.message) from error
        return [f"refused: {error.message[:200]}"], dropped.paths
    wrong: list[str] = []
    try:
        client.check(json.loads(body))
    except Exception as error:  # whatever a library raises is a failure
        wrong.append(f"invalid: {type(error).__name__}: {str(error)[:400]}")
    try:
        back = writer.read_request(body, model=asked.model, stream=asked.stream)
    except ClientError as error:
        return [*wrong, f"unreadable: {error.param}: {error.message[:200]}"], dropped.paths
    return wrong + differences(asked, back, Losses(dropped.paths)), dropped.paths


def differences(asked: Conversation, back: Conversation, losses: Losses) -> list[str]:
    """A system message in the middle may become the user's, or the system prompt's, where that is reported."""
    ways = [_differences(asked, back, losses, role) for role in ("user", "system")]
    return min(ways, key=len)


def _differences(asked: Conversation, back: Conversation, losses: Losses, demoted: str) -> list[str]:
    one, two = plain(asked, losses, demoted), plain(back, Losses(()), demoted)
    wrong = [
        f"{name}: {two.fields.get(name)!r:.80} for {value!r:.80}"
        for name, value in one.fields.items()
        if not losses.touches(field_path(asked.origin, name)) and two.fields.get(name) != value
    ]
    if one.system != two.system:
        wrong.append(f"system: {two.system[:60]!r} for {one.system[:60]!r}")
    if [each[0] for each in one.tools] != [each[0] for each in two.tools]:
        wrong.append(f"tools: {[each[0] for each in two.tools]} for {[each[0] for each in one.tools]}")
    else:
        for index, (was, now) in enumerate(zip(one.tools, two.tools, strict=True)):
            if was != now and not losses.inside(tool_path(asked, index)):
                wrong.append(f"tool: {now!r:.200} for {was!r:.200}")
    if one.parts != two.parts:
        wrong.append(_first(one.parts, two.parts))
    return wrong


def _first(one: list[tuple[str, list[Any]]], two: list[tuple[str, list[Any]]]) -> str:
    for was, now in zip(one, two, strict=False):
        if was != now:
            return f"part {was[1][:1]}: {now!r:.150} for {was!r:.150}"
    more = (one if len(one) > len(two) else two)[min(len(one), len(two))]
    return f"parts: {len(two)} for {len(one)}: {more!r:.150}"


def plain(asked: Conversation, losses: Losses, demoted: str) -> Plain:
    out = Plain(fields=_fields(asked))
    calls = [part.id for message in asked.messages for part in message.parts if isinstance(part, ToolCall)]
    for at, message in enumerate(asked.messages):
        if losses.whole(message_path(asked, at)):
            continue
        for index, part in enumerate(message.parts):
            path = part_path(asked, at, index)
            if losses.whole(path):
                continue
            said = _part(part, calls, cut=losses.inside(path))
            if said is None:
                continue
            role = demoted if losses.whole(f"{message_path(asked, at)}.role") else message.role
            if role in ("system", "developer"):
                out.system += str(said[1]) if said[0] == "text" else ""
            elif said[0] == "text" and out.parts and _joins(out.parts[-1], role):
                out.parts[-1][1][1] += said[1]
            else:
                out.parts.append((role, said))
    out.tools = [
        _tool(tool)
        for index, tool in enumerate(asked.tools)
        if not _none(asked)
        if isinstance(tool, Tool) and not losses.whole(tool_path(asked, index))
    ]
    return out


def _none(asked: Conversation) -> bool:
    """No tool may be called, which some dialects say by leaving all of them out."""
    return asked.tool_choice is not None and asked.tool_choice.mode == "none"


def _joins(last: tuple[str, list[Any]], role: str) -> bool:
    return last[0] == role and last[1][0] == "text"


def _fields(asked: Conversation) -> dict[str, Any]:
    out: dict[str, Any] = {
        name: value
        for name in FIELDS
        if (value := getattr(asked, name)) not in (None, (), {}) and value not in DEFAULTS.get(name, ())
    }
    if asked.stream:
        out["stream"] = True
    if asked.tool_choice is not None and asked.tool_choice.mode not in ("auto", "none"):
        out["tool_choice"] = msgspec.to_builtins(asked.tool_choice)
    if asked.output is not None and asked.output.kind != "text":
        out["output"] = _output(asked.output)
    if asked.reasoning is not None and (effort := _reasoning(asked.reasoning)) is not None:
        out["reasoning"] = effort
    return out


def _output(output: Output) -> list[Any]:
    schema = _schema(output.schema)
    if isinstance(schema, dict) and output.description is not None:
        schema.setdefault("description", output.description)
    return [output.kind, schema]


def _schema(raw: msgspec.Raw | None) -> Any:
    return _same_words(msgspec.json.decode(raw)) if raw is not None else None


def _same_words(value: Any) -> Any:
    """Without the line that tells the draft; a constant is a choice of one."""
    if isinstance(value, list):
        return [_same_words(each) for each in value]
    if not isinstance(value, dict):
        return value
    out = {name: _same_words(each) for name, each in value.items() if name not in ("$schema", "const")}
    if "const" in value:
        out["enum"] = [value["const"]]
    return out


def _reasoning(reasoning: Reasoning) -> str | None:
    """None: not at all, or as the model pleases."""
    if reasoning.effort == "none" or reasoning.budget == 0:
        return None
    if reasoning.effort is not None:
        return "low" if reasoning.effort == "minimal" else reasoning.effort
    return effort_of(reasoning.budget) if reasoning.budget is not None else None


def _tool(tool: Tool) -> list[Any]:
    return [tool.name, tool.description or "", _schema(tool.schema)]


def squeezed(text: str) -> str:
    """How pieces of text are joined is the dialect's affair."""
    return re.sub(r"\s+", "", text)


def _part(part: AnyPart, calls: list[str], *, cut: bool) -> list[Any] | None:
    """A list to compare by; None for what says nothing. Calls and results are told by their places, since not
    all dialects have ids."""
    match part:
        case Text() | Refusal():
            text = squeezed(part.text)
            return ["text", text] if text else None
        case Media() if (written := _written(part)) is not None:
            return ["text", squeezed(written)]
        case Media():
            # One dialect's file is another's video, by its type.
            kind = "image" if part.kind == "image" else "file"
            return ["media", kind, part.data or part.url or part.file or part.text]
        case ToolCall():
            return ["call", part.name, _arguments(part.arguments)]
        case ToolResult():
            place = calls.index(part.call) if part.call in calls else None
            inner = [said for each in part.parts if (said := _part(each, calls, cut=cut)) is not None]
            text = "".join(said[1] for said in inner if said[0] == "text")
            media = [] if cut else [said for said in inner if said[0] == "media"]
            return ["result", place, text, media]
        case Thought():
            return ["thought", squeezed(part.text)] if part.text else None
    return None


def _written(part: Media) -> str | None:
    """The text of a document that is one: dialects without such documents tell it as text."""
    if part.text is not None:
        return part.text
    if part.data is not None and (part.mime or "").startswith("text/"):
        return base64.b64decode(part.data).decode(errors="replace")
    return None


def _arguments(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def shape(path: str) -> str:
    """A dropped field by its name, whatever the message it stood in."""
    return re.sub(r"\[\d+\]", "[]", path)
