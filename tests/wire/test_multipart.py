"""The field `model` of a form: found at any cut, in one reading only, and in all forms that real clients send."""

import io
import time
from itertools import pairwise

import httpx2 as httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import ClientError
from chatvault.wire.multipart import ModelField

TYPE = b"multipart/form-data; boundary=B"


def part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, more, value)


FILE = part(
    b"file",
    bytes(range(256)) + b"\r\n--\r\n-B\r\n--A\r\n\r\n",
    b'; filename="a.mp3"\r\nContent-Type: audio/mpeg',
)
FORM = (
    part(b"language", b"en") + FILE + part(b"model", b"whisper-1") + part(b"prompt", b"model") + b"--B--\r\n"
)


def found(form: bytes, cuts: list[int] | None = None, kind: bytes = TYPE, held: int = 1 << 20) -> ModelField:
    field = ModelField(kind, held)
    places = [0, *sorted(min(cut, len(form)) for cut in cuts or []), len(form)]
    known = False
    for a, b in pairwise(places):
        now = field.feed(form[a:b])
        assert now or not known
        known = now
    return field


@given(st.lists(st.integers(0, len(FORM)), max_size=10))
def test_any_cut(cuts: list[int]) -> None:
    field = found(FORM, cuts)
    assert field.model == "whisper-1"
    assert field.over
    assert field.span is not None
    assert FORM[slice(*field.span)] == b"whisper-1"


def test_byte_by_byte() -> None:
    field = found(FORM, list(range(len(FORM))))
    assert field.span is not None
    assert FORM[slice(*field.span)] == b"whisper-1"


def test_the_model_is_known_as_soon_as_it_is_whole() -> None:
    field = ModelField(TYPE, 1 << 20)
    end = FORM.index(b"whisper-1") + len(b"whisper-1\r\n--B")
    assert not field.feed(FORM[: end - 1])
    assert field.feed(FORM[end - 1 : end])
    assert field.model == "whisper-1"


def test_a_form_without_a_model_is_known_by_its_end() -> None:
    field = ModelField(TYPE, 1 << 20)
    assert not field.feed(FILE)
    assert field.feed(b"--B--")
    assert (field.model, field.span, field.over) == (None, None, True)


def test_a_long_upload_is_not_kept() -> None:
    field = ModelField(TYPE, 1 << 30)
    field.feed(part(b"model", b"m") + FILE[:-2])
    for _ in range(50):
        field.feed(b"x" * 65536)
        assert len(field._data) < 100
    field.feed(b"\r\n--B--")
    for _ in range(50):
        field.feed(b"epilogue" * 8192)
        assert not field._data


def test_a_model_behind_a_file_that_is_too_long_to_hold() -> None:
    with pytest.raises(ClientError) as caught:
        found(FORM, held=100)
    assert (caught.value.http_status, caught.value.code) == (413, "model_not_found")
    assert "before the file" in caught.value.message


def encoded(**options: object) -> tuple[bytes, bytes]:
    request = httpx.Request("POST", "http://h/", **options)  # type: ignore[arg-type]
    return request.headers["content-type"].encode(), request.read()


@pytest.mark.parametrize(
    "name",
    ["a.mp3", 'quo"te.mp3', "semi;colon.mp3", "naïve ünïcode.mp3", "back\\slash.mp3", "name=model;.mp3"],
)
@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "ft:ü/x", ""])
def test_forms_of_httpx(name: str, model: str) -> None:
    files = {"file": (name, io.BytesIO(b"\0\r\n--x\r\n" * 100), "audio/mpeg")}
    kind, form = encoded(data={"model": model, "timestamp_granularities[]": ["word"]}, files=files)
    field = found(form, [7, 100, 200], kind)
    assert field.model == model
    assert field.span is not None
    assert form[slice(*field.span)] == model.encode()


def test_forms_of_the_openai_library() -> None:
    seen = list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(200, json={"text": "x", "created": 1, "data": []})

    client = openai.OpenAI(
        api_key="k", base_url="http://h/v1", http_client=httpx.Client(transport=httpx.MockTransport(answer))
    )
    with client:
        client.audio.transcriptions.create(
            model="whisper-1", file=("a.mp3", b"\0" * 1000), timestamp_granularities=["word"], language="en"
        )
        client.images.edit(model="gpt-image-1", image=[("a.png", b"1"), ("b.png", b"2")], prompt="model")
    for request, model in zip(seen, ("whisper-1", "gpt-image-1"), strict=True):
        form, kind = request.content, request.headers["content-type"].encode()
        for cuts in ([], list(range(0, len(form), 3))):
            field = found(form, cuts, kind)
            assert field.model == model
            assert field.span is not None
            assert form[slice(*field.span)] == model.encode()


@pytest.mark.parametrize(
    ("head", "model"),
    [
        (b'Content-Disposition: form-data; name="model"', True),
        (b"content-disposition:form-data;name=model", True),
        (b'CONTENT-DISPOSITION: Form-Data ; NAME="model" ; x="y"', True),
        (
            b'X: y\r\nContent-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-8',
            True,
        ),
        (b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: 8bit', True),
        (b'Content-Disposition: form-data; filename="x; name=model;"; name="other"', False),
        (b"Content-Disposition: form-data; name=\"other\"; filename*=UTF-8''model", False),
        (b'Content-Disposition: form-data; name="models"', False),
        (b'Content-Disposition: form-data; name="other"\r\nX: form-data; name="model"', False),
        (b'X-Content-Disposition: form-data; name="model"', False),
        (b"Content-Type: text/plain", False),
    ],
)
def test_heads_of_parts(head: bytes, model: bool) -> None:
    field = found(b"--B\r\n" + head + b"\r\n\r\nvalue\r\n--B--")
    assert field.model == ("value" if model else None)


def test_a_part_without_a_head_and_an_empty_line_in_front() -> None:
    form = b"\r\n--B\r\n\r\nname=model\r\n" + part(b"model", b"m") + b"--B--"
    field = found(form, list(range(len(form))))
    assert field.span is not None
    assert form[slice(*field.span)] == b"m"


MODEL = part(b"model", b"cheap")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (MODEL + MODEL + b"--B--", "duplicate_field"),
        (MODEL + part(b"Model", b"dear"), "ambiguous_field"),
        (part(b"MODEL", b"dear"), "ambiguous_field"),
        (part(b"mo\\del", b"dear") + MODEL, "duplicate_field"),
        # A border that is none: within a line, a text goes on behind it, or the line ends otherwise.
        (part(b"file", b"x--B\r\n\r\n") + part(b"file", b"\r\n--Bx\r\n"), "bad_multipart"),
        (b"--B \r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n--B--", "bad_multipart"),
        (MODEL.replace(b"--B\r\n", b"--B\n"), "bad_multipart"),
        (MODEL.replace(b'"\r\n\r\n', b'"\n\n') + b"--B\r\n\r\n", "bad_multipart"),
        (MODEL.replace(b'"\r\n\r\n', b'"\n\r\n\r\n'), "bad_multipart"),
        (b"preamble\r\n" + MODEL, "bad_multipart"),
        (b"\r\n\r\n" + MODEL, "bad_multipart"),
        (b"--C\r\n", "bad_multipart"),
        # Heads.
        (b'--B\r\nContent-Disposition: form-data;\r\n name="model"\r\n\r\nx\r\n--B--', "bad_multipart"),
        (b'--B\r\nContent-Disposition: form-data; name="model"\r\n--B--\r\n\r\n', "bad_multipart"),
        (b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\n--B--', "bad_multipart"),
        (b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n--B--', "bad_multipart"),
        (b"--B\r\nContent-Disposition : form-data; name=model\r\n\r\nx\r\n--B--", "bad_multipart"),
        (b"--B\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\nx\r\n--B--", "bad_multipart"),
        (b"--B\r\nContent-Disposition: form-data; name*0=mo; name*1=del\r\n\r\nx\r\n--B--", "bad_multipart"),
        (b"--B\r\nContent-Disposition: form-data; name=a; name=model\r\n\r\nx\r\n--B--", "bad_multipart"),
        (b'--B\r\nContent-Disposition: form-data; name="model\r\n\r\nx\r\n--B--', "bad_multipart"),
        (
            b'--B\r\nContent-Disposition: form-data; filename="\\"; name="model"\r\n\r\nx\r\n--B--',
            "bad_multipart",
        ),
        (
            b'--B\r\nContent-Disposition: form-data; filename="\\"; name=\\"model\\""\r\n\r\nx\r\n--B--',
            "bad_multipart",
        ),
        (b"--B\r\nContent-Disposition: attachment; name=model\r\n\r\nx\r\n--B--", "bad_multipart"),
        (
            b"--B\r\nContent-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=model\r\n\r\nx",
            "bad_multipart",
        ),
        (
            b"--B\r\nContent-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--B",
            "bad_multipart",
        ),
        (b"--B\r\nx: " + b"y" * 20_000, "bad_multipart"),
        (b"--B\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", "bad_multipart"),
        (part(b"model", b"x" * 2000), "invalid_field"),
        (part(b"model", b"x" * 2000)[:-10], "invalid_field"),
        (part(b"model", b"\xff") + b"--B--", "invalid_field"),
    ],
)
def test_what_a_provider_could_read_otherwise_is_refused(form: bytes, code: str) -> None:
    for cuts in ([], list(range(len(form)))):
        with pytest.raises(ClientError) as caught:
            found(form, cuts)
        assert (caught.value.http_status, caught.value.code) == (400, code)


def test_a_border_within_a_line_does_not_end_the_search() -> None:
    """A file that holds the form's end in the middle of a line, and the true model behind it."""
    hidden = b'x--B\r\nContent-Disposition: form-data; name="model"\r\n\r\ncheap\r\nx--B--\r\nx'
    assert found(part(b"file", hidden) + part(b"model", b"dear") + b"--B--").model == "dear"


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; boundary="a b c"', b"a b c"),
        (
            b"Multipart/Form-Data;BOUNDARY=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        (b"multipart/form-data; charset=utf-8; boundary=a/b:c=d", b"a/b:c=d"),
        (b"multipart/form-data; boundary=a ; charset=utf-8", b"a"),
    ],
)
def test_boundaries(kind: bytes, boundary: bytes) -> None:
    form = FORM.replace(b"--B", b"--" + boundary)
    assert found(form, [50, 100], kind).model == "whisper-1"


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=a; Boundary=a",
        b"multipart/form-data; boundary*=utf-8''a",
        b"multipart/form-data; boundary*0=a; boundary*1=b",
        b'multipart/form-data; x="; boundary=a',
        b'multipart/form-data; x="\\"; boundary=a"',
        b"multipart/form-data; boundary=" + b"a" * 71,
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data boundary=a",
        b"multipart/form-data, boundary=a",
    ],
)
def test_boundaries_that_are_none(kind: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        ModelField(kind, 100)
    assert caught.value.code == "bad_multipart"


def test_heads_of_parts_cost_no_more_than_their_length() -> None:
    before = time.process_time()
    for head in (
        b"content-disposition:form-data" * 500,
        b"; " * 8000,
        b"; name=" * 2000,
        b'; x="' * 3000,
        b";x=y " * 3000,
    ):
        for prefix in (b"", b"content-disposition: form-data"):
            with pytest.raises(ClientError):
                found((b"--B\r\n" + prefix + head + b"!\0\r\n\r\nx\r\n") * 2)
    ModelField(b"multipart/x" + b"; a=b " * 10_000 + b"; boundary=c", 1)
    assert time.process_time() - before < 1
