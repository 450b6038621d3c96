"""`tools` and `toolConfig` in, the hub's tools and tool choice out."""

from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.gemini.names import DIALECT, camel
from chatvault.wire.gemini.schema import to_json_schema
from chatvault.wire.hub.conversation import ServerTool, Tool, ToolChoice
from chatvault.wire.hub.search import WebSearch
from chatvault.wire.json_value import Values, obj, raw, raws, strings, text

SERVER_KINDS: Final = {
    "googleSearch": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
    "fileSearch": "file_search",
    "computerUse": "computer_use",
}
"""Tools that the provider runs, by what other dialects call them."""
_KNOWN: Final = frozenset(("name", "description", "parameters", "parametersJsonSchema"))


def read_tools(value: object) -> tuple[Tool | ServerTool, ...]:
    """Raises ClientError."""
    if value is None:
        return ()
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise _invalid("tools", "a list")
    tools: list[Tool | ServerTool] = []
    for at, each in enumerate(value):
        found = obj(each)
        if found is None:
            raise _invalid(f"tools[{at}]", "an object")
        for name, inner in camel(found).items():
            if name == "functionDeclarations":
                tools += _declarations(inner, f"tools[{at}].functionDeclarations")
            elif inner is not None:
                tools.append(
                    ServerTool(
                        kind=SERVER_KINDS.get(name, name),
                        origin=DIALECT,
                        raw=raw({name: inner}),
                        search=_read_search(inner) if name == "googleSearch" else None,
                        path=f"tools[{at}].{name}",
                    )
                )
    return tuple(tools)


def _read_search(value: object) -> WebSearch:
    said = camel(obj(value) or {})
    domains = strings(said.get("excludeDomains"))
    return WebSearch(
        blocked_domains=domains or (),
        names={"blocked_domains": "excludeDomains"},
        other=tuple(
            name
            for name, each in said.items()
            if each is not None and not (name == "excludeDomains" and domains is not None)
        ),
    )


def _declarations(value: object, path: str) -> list[Tool]:
    if not isinstance(value, list):
        raise _invalid(path, "a list")
    return [_declaration(each, f"{path}[{at}]") for at, each in enumerate(value)]


def _declaration(value: object, path: str) -> Tool:
    found = obj(value)
    declared = camel(found) if found is not None else {}
    name = text(declared.get("name"))
    if name is None:
        raise _invalid(f"{path}.name", "the name of a function")
    schema, rest = _schema(declared), _rest(declared)
    return Tool(
        name=name,
        description=text(declared.get("description")),
        schema=schema,
        origin=DIALECT if rest else None,
        extra=rest,
        path=path,
    )


def _schema(declared: Values) -> msgspec.Raw | None:
    given = obj(declared.get("parametersJsonSchema"))
    if given is not None:
        return raw(given)
    given = obj(declared.get("parameters"))
    return raw(to_json_schema(given)) if given is not None else None


def _rest(declared: Values) -> dict[str, msgspec.Raw] | None:
    return raws({name: each for name, each in declared.items() if name not in _KNOWN and each is not None})


def read_choice(value: object, extra: dict[str, msgspec.Raw]) -> ToolChoice | None:
    """What of `toolConfig` only Gemini understands goes to `extra`, by its path."""
    config = obj(value)
    if config is None:
        return None
    choice = None
    for name, inner in camel(config).items():
        calling = obj(inner)
        if name == "functionCallingConfig" and calling is not None:
            choice = _choice(camel(calling), extra)
        elif inner is not None:
            extra[f"toolConfig.{name}"] = raw(inner)
    return choice


def _choice(calling: Values, extra: dict[str, msgspec.Raw]) -> ToolChoice | None:
    mode = str(calling.get("mode", "")).upper()
    names = strings(calling.get("allowedFunctionNames")) or ()
    for name, each in calling.items():
        if name not in ("mode", "allowedFunctionNames") and each is not None:
            extra[f"toolConfig.functionCallingConfig.{name}"] = raw(each)
    if mode == "NONE":
        return ToolChoice(mode="none")
    if mode == "ANY":
        if len(names) == 1:
            return ToolChoice(mode="named", name=names[0])
        return ToolChoice(mode="required", names=names)
    if names and mode not in ("ANY", "VALIDATED"):
        # https://ai.google.dev/api/caching#FunctionCallingConfig, seen 2026-11
        extra["toolConfig.functionCallingConfig.allowedFunctionNames"] = raw(names)
    if mode == "VALIDATED" and not names:
        extra["toolConfig.functionCallingConfig.mode"] = raw("VALIDATED")
    return ToolChoice(mode="auto", names=names if mode == "VALIDATED" else ()) if mode in _AUTO else None


_AUTO: Final = frozenset(("AUTO", "VALIDATED"))


def _invalid(path: str, what: str) -> ClientError:
    return ClientError(f"'{path}' must be {what}.", code="invalid_field", param=path)
