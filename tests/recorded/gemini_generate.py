"""Google's own library; its types allow no field they do not know."""

import json
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from tests.recorded.clients import Refused
from tests.recorded.heard import Call, Counts, Heard
from tests.recorded.transport import Canned, Transport


def google_client(transport: Transport) -> genai.Client:
    return genai.Client(
        api_key=transport.key,
        vertexai=False,
        http_options=types.HttpOptions(
            base_url=transport.base_url, httpx_client=httpx2.Client(transport=transport.new)
        ),
    )


class Generate:
    def __init__(self, transport: Transport | None = None) -> None:
        transport = transport or Canned()
        self._transport = transport
        self._client = google_client(transport)

    def whole(self, body: bytes, status: int = 200) -> Heard:
        self._transport.answers(body, status=status)
        if body and status < 400:
            types.GenerateContentResponse.model_validate_json(body)
        try:
            reply = self._client.models.generate_content(model="m", contents="x")
        except errors.APIError as error:
            raise _refused(error) from error
        return _heard([reply])

    def stream(self, body: bytes) -> Heard:
        self._transport.answers(body, "text/event-stream")
        try:
            replies = list(self._client.models.generate_content_stream(model="m", contents="x"))
        except errors.APIError as error:
            raise _refused(error) from error
        return _heard(replies)

    def check(self, request: dict[str, Any]) -> None:
        for content in request["contents"]:
            types.Content.model_validate(content)
        if "systemInstruction" in request:
            types.Content.model_validate(request["systemInstruction"])
        for tool in request.get("tools", ()):
            types.Tool.model_validate(tool)
        if "toolConfig" in request:
            types.ToolConfig.model_validate(request["toolConfig"])
        config = dict(request.get("generationConfig", {}))
        if "responseJsonSchema" in config:
            json.dumps(config.pop("responseJsonSchema"))
        types.GenerationConfig.model_validate(config)


def _refused(error: errors.APIError) -> Refused:
    kind, code = _detail(error.details)
    return Refused(error.code, str(error.message), kind or error.status, code)


def _detail(details: Any) -> tuple[str | None, str | None]:
    for each in (details.get("error") or details).get("details") or ():
        if each.get("@type", "").endswith("ErrorInfo"):
            return (each.get("metadata") or {}).get("type"), each.get("reason")
    return None, None


def _heard(replies: list[types.GenerateContentResponse]) -> Heard:
    heard = Heard()
    for reply in replies:
        for candidate in reply.candidates or ():
            said = heard.choice(candidate.index or 0)
            for part in (candidate.content.parts if candidate.content else None) or ():
                if part.function_call is not None:
                    call = part.function_call
                    said.calls.append(Call(call.id, str(call.name), call.args or {}))
                elif part.thought:
                    said.thoughts += part.text or ""
                else:
                    said.text += part.text or ""
            if candidate.finish_reason is not None:
                said.finish = candidate.finish_reason.name
        if reply.prompt_feedback is not None and reply.prompt_feedback.block_reason is not None:
            heard.choice().finish = "blocked"
        usage = reply.usage_metadata
        if usage is not None:
            thoughts = usage.thoughts_token_count or 0
            heard.counts = Counts(
                usage.prompt_token_count or 0,
                (usage.candidates_token_count or 0) + thoughts,
                usage.cached_content_token_count or 0,
                thoughts,
            )
    return heard
