"""The stand-in provider answers as a provider does."""

import asyncio
import json

from tests.bench.test_load import listening, upstream


async def ask(port: int, body: bytes, until: bytes, path: str = "/v1/chat/completions") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path.encode(), len(body), body)
    )
    answer = await reader.readuntil(until)
    writer.close()
    return answer


async def test_whole() -> None:
    async with listening(lambda: upstream(7, 0.1)) as port:
        answer = await ask(port, b'{"model": "m"}', b"}}}")
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 7


async def test_streamed() -> None:
    async with listening(lambda: upstream(7, 0.1)) as port:
        answer = await ask(port, b'{"stream": true}', b"\r\n0\r\n\r\n")
    parts = answer.replace(b"\r", b"").split(b"data: ")[1:-1]
    events = [json.loads(part.split(b"\n")[0]) for part in parts]
    said = [event["choices"][0]["delta"].get("content") for event in events if event["choices"]]
    assert said.count(" hello") == 7
    assert events[-1]["usage"]["completion_tokens"] == 7
    assert b"data: [DONE]" in answer


async def test_anthropics() -> None:
    async with listening(lambda: upstream(7, 0.1)) as port:
        whole = await ask(port, b"{}", b'"standard"}}', "/v1/messages")
        answer = await ask(port, b'{"stream":true}', b"\r\n0\r\n\r\n", "/v1/messages")
    assert json.loads(whole.partition(b"\r\n\r\n")[2])["usage"]["output_tokens"] == 7
    assert answer.count(b'"text":" hello"') == 7
    assert answer.index(b"event: message_start") < answer.index(b"event: message_stop")


async def test_a_client_that_leaves_is_let_go() -> None:
    async with listening(lambda: upstream(1000, 0.1)) as port:
        await ask(port, b'{"stream":true}', b"hello")
        await asyncio.sleep(0.02)
