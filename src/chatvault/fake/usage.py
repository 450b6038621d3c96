"""What an answer cost in tokens, and how each API says it."""

import msgspec


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts; `output` includes `reasoning`, `prompt` includes `cached`."""

    prompt: int
    output: int
    cached: int = 0
    reasoning: int = 0


def chat_usage(counts: Counts) -> dict[str, object]:
    """As chat and text completions say it."""
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.output,
        "total_tokens": counts.prompt + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def responses_usage(counts: Counts) -> dict[str, object]:
    """As the responses API says it."""
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.output,
    }
