"""`POST /v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`."""

import base64
import hashlib
import math

import msgspec

from chatvault.fake.answer import Answer, Event, Stream, Whole, json_answer, json_event
from chatvault.fake.errors import error_object
from chatvault.fake.multipart import Form
from chatvault.fake.request import Request
from chatvault.fake.sound import seconds, tone, wav
from chatvault.fake.text import count_prompt, pieces, sentence

SLICE = 4096
"""Bytes of sound in one piece of a spoken answer."""
BROKEN = (
    json_event({"type": "error", "error": error_object(500, "The simulated model broke off.")}, "error"),
)


class SpeechRequest(msgspec.Struct):
    model: str
    input: str
    voice: object = "alloy"
    response_format: str = "wav"
    stream_format: str = "audio"


def speech(request: Request) -> Answer:
    """A tone of 50 ms a word: WAV whatever format was asked, bare samples for `pcm`, events for `sse`."""
    wish = request.decode(SpeechRequest)
    words = len(wish.input.split())
    pitch = 200 + hashlib.sha256(wish.input.encode()).digest()[0] * 2
    samples = tone(0.05 * max(1, words), pitch)
    bare = wish.response_format == "pcm"
    sound = samples if bare else wav(samples)
    parts = [sound[start : start + SLICE] for start in range(0, len(sound), SLICE)]
    if wish.stream_format == "sse":
        tokens = {"input_tokens": count_prompt(len(wish.input.encode()), 0), "output_tokens": len(parts)}
        done = {"type": "speech.audio.done", "usage": {**tokens, "total_tokens": sum(tokens.values())}}
        deltas = [{"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()} for part in parts]
        events = [json_event(delta, delta=True) for delta in deltas]
        return Stream(events=(*events, json_event(done)), broken=BROKEN)
    kind = "audio/pcm" if bare else "audio/wav"
    return Stream(events=tuple(Event(part, delta=True) for part in parts), framing="raw", content_type=kind)


def transcriptions(request: Request) -> Answer:
    """What the simulated model heard: a sentence that depends on the file alone. Raises Refusal."""
    form = request.form()
    content = form.upload("file").content
    heard = sentence(hashlib.sha256(content).hexdigest())
    usage = _usage(form, content, len(pieces(heard)))
    if form.fields.get("stream") == "true":
        return _stream(heard, usage)
    return _formatted(form.fields.get("response_format", "json"), heard, seconds(content), usage)


def _usage(form: Form, content: bytes, output: int) -> dict[str, object]:
    """By the second for models called whisper, by the token for all others (ten a second)."""
    length = math.ceil(seconds(content))
    if "whisper" in form.fields.get("model", ""):
        return {"type": "duration", "seconds": length}
    prompt = count_prompt(len(form.fields.get("prompt", "").encode()), 0)
    return {
        "type": "tokens",
        "input_tokens": 10 * length + prompt,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": 10 * length},
        "output_tokens": output,
        "total_tokens": 10 * length + prompt + output,
    }


def _stream(heard: str, usage: dict[str, object]) -> Stream:
    deltas = [json_event({"type": "transcript.text.delta", "delta": p}, delta=True) for p in pieces(heard)]
    done = json_event({"type": "transcript.text.done", "text": heard, "usage": usage})
    return Stream(events=(*deltas, done), broken=BROKEN)


def _formatted(form: str, heard: str, length: float, usage: dict[str, object]) -> Answer:
    end = f"00:{int(length) // 60:02}:{int(length) % 60:02}"
    match form:
        case "text":
            return Whole(body=f"{heard}\n".encode(), content_type="text/plain; charset=utf-8")
        case "srt":
            text = f"1\n00:00:00,000 --> {end},{int(length * 1000) % 1000:03}\n{heard}\n\n"
            return Whole(body=text.encode(), content_type="text/plain; charset=utf-8")
        case "vtt":
            text = f"WEBVTT\n\n00:00:00.000 --> {end}.{int(length * 1000) % 1000:03}\n{heard}\n\n"
            return Whole(body=text.encode(), content_type="text/plain; charset=utf-8")
        case "verbose_json":
            whole = {
                "task": "transcribe",
                "language": "english",
                "duration": length,
                "text": heard,
                "segments": [],
            }
            return json_answer({**whole, "usage": {"type": "duration", "seconds": math.ceil(length)}})
        case _:
            return json_answer({"text": heard, "usage": usage})
