"""Two requests that say the same become equal: a string for a text block, nothing for null, false or empty."""

from typing import Any


def plain_request(request: dict[str, Any]) -> dict[str, Any]:
    out = {name: value for name, value in request.items() if value is not None}
    if "system" in out:
        out["system"] = _blocks(out["system"])
    out["messages"] = [{**message, "content": _blocks(message["content"])} for message in out["messages"]]
    if out.get("stream") is False:
        del out["stream"]
    for name in ("tools", "stop_sequences"):
        if out.get(name) == []:
            del out[name]
    if "tools" in out:
        out["tools"] = [_without_type(_said(tool)) for tool in out["tools"]]
    return out


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _without_type(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if (name, value) != ("type", "custom")}


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    return [_block(_said(block)) for block in content]


def _block(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] == "tool_result":
        block["content"] = _blocks(block.get("content", []))
        block["is_error"] = block.get("is_error", False)
    if block["type"] == "tool_use":
        block.setdefault("input", {})
    return block
