"""`POST /v1/completions`, the older text completions."""

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.ask import Ask
from chatvault.fake.chat import StreamOptions, chunk_stream, whole_usage
from chatvault.fake.reply import compose, count
from chatvault.fake.request import CREATED, Request
from chatvault.fake.text import count_prompt

Prompt = str | list[str | int | list[int]] | None


class CompletionRequest(msgspec.Struct):
    model: str
    prompt: Prompt = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    echo: bool | None = None


def completions(request: Request) -> Answer:
    """A text completion, whole or streamed; each prompt gets `n` choices. Raises Refusal."""
    wish = request.decode(CompletionRequest)
    asks = [_ask(wish, text, tokens) for text, tokens in _prompts(wish.prompt)]
    replies = [compose(ask, request.plan, i) for ask in asks for i in range(max(1, min(wish.n or 1, 128)))]
    whole = msgspec.structs.replace(asks[0], prompt=sum(ask.prompt for ask in asks))
    counts = count(whole, request.plan, replies)
    head: dict[str, object] = {
        "id": "cmpl-" + request.digest()[:29],
        "object": "text_completion",
        "created": CREATED,
        "model": wish.model,
        "system_fingerprint": "fp_simulated",
    }
    if wish.stream:
        asked = wish.stream_options is not None and bool(wish.stream_options.include_usage)
        body = [_choice(index, piece) for index, reply in enumerate(replies) for piece in reply.pieces]
        closing = [_choice(index, "", reply.finish) for index, reply in enumerate(replies)]
        return chunk_stream(head, body, closing, counts, request.plan, asked=asked)
    before = asks[0].text if wish.echo else ""
    choices = [_choice(i, before + reply.text, reply.finish) for i, reply in enumerate(replies)]
    return json_answer({**head, "choices": choices, **whole_usage(counts, request.plan)})


def _choice(index: int, text: str, finish: str | None = None) -> dict[str, object]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _ask(wish: CompletionRequest, text: str, tokens: int) -> Ask:
    stop = wish.stop if isinstance(wish.stop, list) else [wish.stop] if wish.stop else []
    return Ask(text=text, last=text, prompt=tokens, limit=wish.max_tokens, stop=tuple(stop))


def _prompts(prompt: Prompt) -> list[tuple[str, int]]:
    """The texts of the prompts with their tokens; a list of numbers is one prompt of so many tokens."""
    if prompt is None or isinstance(prompt, str):
        return [_measured(prompt or "")]
    numbers = [part for part in prompt if isinstance(part, int)]
    if numbers or not prompt:
        return [(_spelled(numbers), len(numbers))]
    return [
        _measured(p) if isinstance(p, str) else (_spelled(p), len(p))
        for p in prompt
        if not isinstance(p, int)
    ]


def _measured(text: str) -> tuple[str, int]:
    return text, count_prompt(len(text.encode()), 0)


def _spelled(tokens: list[int]) -> str:
    return " ".join(map(str, tokens))
