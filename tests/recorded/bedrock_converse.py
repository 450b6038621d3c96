"""Bedrock's Converse API as a target of requests: judged by the service's published model, and read back."""

import json
from typing import Any, Final

import msgspec

from chatvault.wire.anthropic.answer_text import NAMES
from chatvault.wire.anthropic.output import answer_of
from chatvault.wire.bedrock.dialect import CONVERSE
from chatvault.wire.hub.conversation import Conversation, Message, Output, Reasoning, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Text, Thought, ToolCall, ToolResult
from tests.wire.bedrock import published

MODELS: Final = (
    "us.amazon.nova-pro-v1:0",
    "global.amazon.nova-2-lite-v1:0",
    "qwen.qwen3-32b-v1:0",
    "openai.gpt-oss-120b-1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
)
_NOTHING: Final = {"type": "object", "properties": {}}


class Asking:
    """What `requests.judge` needs of a dialect. `model` stands in for the one that was asked for, since it decides what
    a request may hold."""

    def __init__(self, model: str) -> None:
        self.model = model

    def write_request(self, asked: Conversation, dropped: Dropped) -> bytes:
        return CONVERSE.write_request(msgspec.structs.replace(asked, model=self.model), dropped)

    def check(self, request: dict[str, Any]) -> None:
        published.check(request, self.model)

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        said = json.loads(body)
        messages = [_message(each) for each in said["messages"]]
        if "system" in said:
            messages.insert(0, Message(role="system", parts=_parts(said["system"])))
        called = {part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}
        config = said.get("toolConfig", {})
        specs = [each["toolSpec"] for each in config.get("tools", ()) if "toolSpec" in each]
        tools = [_tool(each) for each in specs]
        answer = next((tool for tool in tools if tool.name in NAMES), None)
        # What was called has to be defined, though it was not.
        defined = [tool for tool in tools if tool is not answer and not (_bare(tool) and tool.name in called)]
        inference = said.get("inferenceConfig", {})
        more = said.get("additionalModelRequestFields", {})
        return Conversation(
            model=model or "",
            messages=tuple(messages),
            stream=bool(stream),
            tools=tuple(defined),
            tool_choice=_choice(config.get("toolChoice"), answer),
            output=answer_of(answer) if answer is not None else _output(said.get("outputConfig")),
            reasoning=_reasoning(more),
            max_output=inference.get("maxTokens"),
            temperature=inference.get("temperature"),
            top_p=inference.get("topP"),
            top_k=more.get("inferenceConfig", {}).get("topK"),
            stop=tuple(inference.get("stopSequences", ())),
            metadata=said.get("requestMetadata"),
            service_tier=said.get("serviceTier", {}).get("type"),
            origin="bedrock.converse",
        )


def _message(said: Any) -> Message:
    return Message(role=said["role"], parts=_parts(said["content"]))


def _parts(blocks: Any) -> tuple[AnyPart, ...]:
    return tuple(part for block in blocks if (part := _part(block)) is not None)


def _part(block: Any) -> AnyPart | None:
    ((kind, said),) = block.items()
    match kind:
        case "text":
            return Text(text=said)
        case "toolUse":
            return ToolCall(id=said["toolUseId"], name=said["name"], arguments=json.dumps(said["input"]))
        case "toolResult":
            inner = _parts(said["content"])
            kept = tuple(part for part in inner if isinstance(part, Text | Media))
            return ToolResult(call=said["toolUseId"], parts=kept, failed=said.get("status") == "error")
        case "reasoningContent":
            proved = said.get("reasoningText", {})
            return Thought(text=proved.get("text", ""), sealed=said.get("redactedContent"))
        case "image" | "document" | "audio" | "video":
            mime = "text/plain" if said["format"] in ("txt", "md", "csv", "html") else None
            return Media(kind=kind, mime=mime, data=said["source"]["bytes"])
    return None


def _tool(spec: Any) -> Tool:
    schema = msgspec.Raw(json.dumps(spec["inputSchema"]["json"]).encode())
    return Tool(
        name=spec["name"], description=spec.get("description"), schema=schema, strict=spec.get("strict")
    )


def _bare(tool: Tool) -> bool:
    return tool.description is None and json.loads(bytes(tool.schema or b"{}")) == _NOTHING


def _choice(said: Any, answer: Tool | None) -> ToolChoice | None:
    if said is None or answer is not None:
        return None
    if "tool" in said:
        return ToolChoice(mode="named", name=said["tool"]["name"])
    return ToolChoice(mode="required")


def _output(said: Any) -> Output | None:
    if said is None:
        return None
    form = said["textFormat"]["structure"]["jsonSchema"]
    schema = msgspec.Raw(form["schema"].encode())
    return Output(
        kind="json_schema", name=form.get("name"), description=form.get("description"), schema=schema
    )


def _reasoning(more: Any) -> Reasoning | None:
    effort = more.get("reasoning_effort") or more.get("reasoningConfig", {}).get("maxReasoningEffort")
    return Reasoning(effort=effort) if effort is not None else None
