"""Log probabilities, between the shape of chat (a list of tokens) and that of completions (lists side by side)."""

from chatvault.wire.json_value import Values, list_of, object_of, objects_of, text_of


def chat_logprobs(value: object) -> Values | None:
    """As chat has them, whichever shape they come in; None if they say nothing."""
    said = object_of(value)
    tokens = list_of(said.get("tokens"))
    if not tokens:
        return said if any(said.values()) else None
    chances, tops = list_of(said.get("token_logprobs")), list_of(said.get("top_logprobs"))
    content = []
    for at, token in enumerate(tokens):
        others = tops[at] if at < len(tops) else None
        content.append(
            {
                **_token(text_of(token), chances[at] if at < len(chances) else None),
                "top_logprobs": [_token(name, chance) for name, chance in object_of(others).items()],
            }
        )
    return {"content": content}


def _token(token: str, chance: object) -> Values:
    return {"token": token, "logprob": chance, "bytes": list(token.encode(errors="replace"))}


def completions_logprobs(value: object, offset: int) -> Values | None:
    """As completions have them; `offset` is the length of the text before."""
    tokens = objects_of(object_of(value).get("content"))
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(text_of(token.get("token")))
    return {
        "tokens": [token.get("token") for token in tokens],
        "token_logprobs": [token.get("logprob") for token in tokens],
        "top_logprobs": [
            {
                text_of(each.get("token")): each.get("logprob")
                for each in objects_of(token.get("top_logprobs"))
            }
            for token in tokens
        ],
        "text_offset": offsets,
    }
