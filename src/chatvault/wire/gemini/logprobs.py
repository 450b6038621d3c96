"""Log probabilities, both ways: Gemini's `logprobsResult`
(https://ai.google.dev/api/generate-content#LogprobsResult, seen 2026-11) and
the hub's, which are OpenAI's `{"content": [...]}`.
"""

import msgspec

from chatvault.wire.gemini.names import camel
from chatvault.wire.json_value import Values, decode, number, obj, objects_of, raw, text


def read_logprobs(value: object) -> msgspec.Raw | None:
    result = camel(obj(value) or {})
    chosen = objects_of(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = objects_of(result.get("topCandidates"))
    content: list[Values] = []
    for at, each in enumerate(chosen):
        others = objects_of(tops[at].get("candidates")) if at < len(tops) else []
        content.append({**_entry(each), "top_logprobs": [_entry(other) for other in others]})
    return raw({"content": content, "refusal": None})


def _entry(value: Values) -> Values:
    candidate = camel(value)
    token = text(candidate.get("token")) or ""
    return {
        "token": token,
        "logprob": number(candidate.get("logProbability")) or 0.0,
        "bytes": list(token.encode(errors="replace")),
    }


def write_logprobs(told: list[msgspec.Raw]) -> Values | None:
    """The whole of what was told with a candidate's text."""
    content: list[Values] = []
    for each in told:
        content += objects_of((obj(decode(each)) or {}).get("content"))
    if not content:
        return None
    return {
        "chosenCandidates": [_candidate(each) for each in content],
        "topCandidates": [
            {"candidates": [_candidate(other) for other in objects_of(each.get("top_logprobs"))]}
            for each in content
        ],
    }


def _candidate(entry: Values) -> Values:
    return {"token": entry.get("token"), "logProbability": entry.get("logprob")}
