"""One connection from a client: bytes in, requests out, one call at a time; answers back in order.

It knows HTTP and nothing of models. A request's head is taken as a whole and checked by its grammar
(`wire/http_head.py`); its body is handed to the call's intake as it comes. What arrives while a call is under
way waits, bounded. Everything that can be slow has a deadline that `tick`, called twice a second, enforces:
no timer is made for a call.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, cast

from chatvault.config.networks import client_address
from chatvault.core.errors import ChatVaultError, ClientError, GatewayError, Timeout, TooLarge
from chatvault.gateway.answers import error_answer, status_line
from chatvault.gateway.call import Call
from chatvault.gateway.entry import begin
from chatvault.gateway.heading import Heading
from chatvault.gateway.intake import Intake
from chatvault.wire.chunked import ChunkedBody
from chatvault.wire.http_head import HeadReader, RequestHead

if TYPE_CHECKING:
    from chatvault.audit.lines import Private
    from chatvault.gateway.worker import Worker

log = logging.getLogger(__name__)

_MAX_AHEAD: Final = 64 << 10
"""Bytes of a next request that may wait while a call is under way."""
_LINGER: Final = 2.0
"""Seconds an answered connection whose request was not read to its end stays open, so that the answer arrives
before the reset."""
_RESET: Final = struct.pack("ii", 1, 0)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Reading = Literal["head", "body", "waiting", "lingering", "closed"]


class ClientConnection(asyncio.Protocol):
    __slots__ = (
        "_ahead",
        "_begun",
        "_chunked",
        "_close_after",
        "_deadline",
        "_framed",
        "_head_only",
        "_heading",
        "_heads",
        "_intake",
        "_left",
        "_paused",
        "_peer",
        "_pending_head",
        "_reading",
        "_skipped",
        "_streams",
        "_stuck",
        "_timed",
        "_transport",
        "address",
        "call",
        "client",
        "worker",
    )

    def __init__(self, worker: "Worker") -> None:
        self.worker = worker
        self.call: Call | None = None
        self.address = self._peer = ""
        self.client: tuple[int, str, Private] | None = None
        """The segment, the address, and where the record says who this is; written with the first call."""
        self._ahead = b""
        self._heads = HeadReader()
        self._heading: Heading | None = None
        self._intake: Intake | None = None
        self._chunked: ChunkedBody | None = None
        self._left = 0
        self._reading: Reading = "head"
        self._paused = False
        self._deadline = worker.now() + worker.snapshot.server.header_timeout
        self._stuck: float | None = None
        self._pending_head: bytes | None = None
        self._framed: int | None = None
        self._begun = self._close_after = self._head_only = self._skipped = self._timed = False
        self._streams = False
        """The head is out, and what follows goes out in chunks."""

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = self._peer = peer[0] if isinstance(peer, tuple) else "unix"
        self.worker.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._reading = "closed"
        self.worker.connections.discard(self)
        if self._intake is not None:
            self._intake.abandon()
            self._intake = None
        call, self.call = self.call, None
        if call is not None:
            call.client_gone()

    def pause_writing(self) -> None:
        self._stuck = self.worker.now()
        if self.call is not None:
            self.call.pause()

    def resume_writing(self) -> None:
        self._stuck = None
        if self.call is not None:
            self.call.resume()

    def data_received(self, data: bytes) -> None:
        try:
            self._read(data)
        except ChatVaultError as error:
            self.refuse(error)
        except Exception:
            log.exception("a call failed")
            self.refuse(_failed())

    @contextmanager
    def border(self) -> Iterator[None]:
        """Errors of a call that goes on outside of `data_received` end here as they do there."""
        try:
            yield
        except ChatVaultError as error:
            self.refuse(error)
        except Exception:
            log.exception("a call failed")
            self.refuse(_failed())

    # --- reading

    def _read(self, data: bytes) -> None:
        if self._reading == "head":
            self._read_head(self._ahead + data if self._ahead else data)
        elif self._reading == "body":
            self._read_body(data)
        elif self._reading == "waiting":
            self._ahead += data
            if len(self._ahead) > _MAX_AHEAD:
                self.pause_reading()

    def _read_head(self, data: bytes) -> None:
        if data.startswith(b"\r\n") and not self._skipped:
            self._skipped = True  # RFC 9112 section 2.2: one empty line before a request is passed over
            data = data[2:]
        limits = self.worker.snapshot.server
        end = data.find(b"\r\n\r\n")
        if end < 0 or end + 4 > limits.max_header:
            if len(data) > limits.max_header or end >= 0:
                raise TooLarge(
                    f"The request's head is over {limits.max_header} bytes. Send fewer or shorter header "
                    "fields.",
                    code="head_too_large",
                    status=431,
                )
            if b"\n\n" in data or (data and not 65 <= data[0] <= 90 and (self._skipped or data != b"\r")):
                raise ClientError(
                    "Bad request: this is not HTTP. Speak plain HTTP/1.1 to this port.", code="bad_request"
                )
            if (data or self._skipped) and not self._timed:
                self._timed = True
                self._deadline = self.worker.now() + limits.header_timeout
            self._ahead = data
            return
        head, length = self._heads.read(data[: end + 4])
        heading = self._heading
        if heading is None or heading.head is not head:
            self._heading = heading = Heading(head)
            self._head_only = head.method == b"HEAD"
        if self.worker.trusted:
            self._look_behind_proxies(head)
        self._reading = "waiting"
        self._begun = False
        self._close_after = not head.keep_alive or self.worker.draining
        self._framed = length
        self._left = length or 0
        self._chunked = None if length is not None else ChunkedBody()
        self._ahead = data[end + 4 :]
        self.call = call = Call.of(self.worker, self, heading, length)
        begin(call)

    def _look_behind_proxies(self, head: RequestHead) -> None:
        self.address = client_address(self._peer, head.fields.get(b"x-forwarded-for"), self.worker.trusted)

    @property
    def agent(self) -> bytes | None:
        """What the client calls itself, if a head was read."""
        return self._heading.agent if self._heading is not None else None

    def whole_body(self, limit: int) -> bytes | None:
        """The body, if all of it has come with the head and it is no larger than `limit`; None otherwise, and
        then nothing was taken."""
        length, ahead = self._framed, self._ahead
        if length is None or len(ahead) < length or length > limit:
            return None
        self._left = 0
        if len(ahead) == length:
            self._ahead = b""
            return ahead
        self._ahead = ahead[length:]
        return ahead[:length]

    def read_body(self, intake: Intake) -> None:
        """The call takes the body now: what is here already at once, the rest as it comes."""
        call = self.call
        if call is None:
            return
        self._intake = intake
        data, self._ahead = self._ahead, b""
        if not data and call.head.fields.get(b"expect", b"").lower() == b"100-continue" and self._framed != 0:
            self._transport.write(_CONTINUE)
        self._reading = "body"
        self._deadline = self.worker.now() + self.worker.snapshot.server.body_timeout
        self.resume_reading()
        self._read_body(data)

    def _read_body(self, data: bytes) -> None:
        intake = self._intake
        if intake is None:
            return
        chunked = self._chunked
        if chunked is not None:
            part = chunked.feed(data)
            if part:
                intake.part(part)
            whole, rest = chunked.done, chunked.rest
        elif len(data) < self._left:
            self._left -= len(data)
            if data:
                intake.part(data)
            whole, rest = False, b""
        else:
            part, rest = (data, b"") if len(data) == self._left else (data[: self._left], data[self._left :])
            self._left = 0
            if part:
                intake.part(part)
            whole = True
        if not whole:
            self._deadline = self.worker.now() + self.worker.snapshot.server.body_timeout
        elif self._intake is intake:
            self._reading = "waiting"
            self._ahead = rest
            self._intake = None
            intake.whole()

    @property
    def begun(self) -> bool:
        """Whether a byte of the present answer's head has gone out."""
        return self._begun and self._pending_head is None

    @property
    def _unread(self) -> bool:
        """Whether a part of the request's body has not been read."""
        return not self._chunked.done if self._chunked is not None else self._left > 0

    def pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    # --- answering

    def answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        """A whole answer, in one write, also instead of one whose head has not gone out."""
        self._pending_head = None
        head = self._head(status, lines, len(body))
        self._transport.write(head if self._head_only else head + body)
        self._answered()

    def begin_answer(self, status: int, lines: list[bytes], length: int | None) -> None:
        """The head of an answer whose body follows; it goes out with the body's first bytes."""
        self._framed = length
        if length is None and self.call is not None and self.call.head.http10:
            self._close_after = True
            self._framed = -1
        self._pending_head = self._head(status, lines, length)

    def write(self, data: bytes) -> None:
        """A part of the body."""
        if self._streams:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
            return
        if self._framed is None:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if self._pending_head is not None:
            data, self._pending_head = (
                (self._pending_head if self._head_only else self._pending_head + data),
                None,
            )
            self._streams = self._framed is None and not self._head_only
        elif self._head_only:
            return
        self._transport.write(data)

    def end_answer(self, last: bytes = b"") -> None:
        """The last part of the body, and the end of it."""
        if self._framed is None:
            last = b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last) if last else b"0\r\n\r\n"
        if self._head_only:
            last = b""
        if self._pending_head is not None:
            last, self._pending_head = self._pending_head + last, None
        if last:
            self._transport.write(last)
        self._answered()

    def break_answer(self, last: bytes = b"") -> None:
        """The answer will not be whole: `last` is sent, and the connection closed without the body's end, so
        that the client can tell."""
        if last:
            self.write(last)
        self.call = None
        self._reading = "closed"
        if self._framed == -1:
            # Nothing but a reset tells this client that its answer is not whole.
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        else:
            self._transport.close()

    def refuse(self, error: ChatVaultError) -> None:
        """An error answer from wherever it arose. After the answer has begun, all that is left is to break
        it."""
        call = self.call
        if call is not None:
            call.refused(error)
            return
        if self._reading in ("closed", "lingering"):
            return
        self._close_after = True
        self._left = 1  # where the request ends is not known
        self._chunked = None
        call_id = self.worker.refusals.unreadable(self, error)
        status, lines, body = error_answer(error)
        lines.append(b"x-request-id: %s\r\n" % call_id.encode())
        self.answer(status, lines, body)

    def _head(self, status: int, lines: list[bytes], length: int | None) -> bytes:
        self._begun = True
        if self.worker.draining or self._unread:
            self._close_after = True
        framing = (
            (b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length)
            if self._framed != -1 and status not in (204, 304)
            else b""
        )
        end = b"connection: close\r\n\r\n" if self._close_after else b"\r\n"
        return b"".join((status_line(status), *lines, framing, end))

    def _answered(self) -> None:
        self.call = None
        self._streams = False
        if self._intake is not None:
            self._intake.abandon()
            self._intake = None
        if self._transport.is_closing():
            return
        if self._close_after:
            if self._unread and self._transport.can_write_eof():
                self._reading = "lingering"
                self._deadline = self.worker.now() + _LINGER
                self._transport.write_eof()
                self.resume_reading()
            else:
                self._reading = "closed"
                self._transport.close()
            return
        self._reading = "head"
        self._deadline = self.worker.now() + self.worker.snapshot.server.idle_timeout
        self.resume_reading()
        self._skipped = self._timed = False
        if self._ahead:
            self.worker.loop.call_soon(self.data_received, b"")

    # --- time

    def tick(self, now: float) -> None:
        """Enforce the deadlines. Called twice a second."""
        limits = self.worker.snapshot.server
        if self._stuck is not None and now - self._stuck > limits.send_timeout:
            self._transport.abort()
        elif self._reading == "body" and not self._paused and now > self._deadline:
            self.refuse(
                Timeout(
                    f"The request's body stopped for {limits.body_timeout:g} s. Send it again, faster.",
                    code="body_timeout",
                )
            )
        elif self._reading == "head" and now > self._deadline:
            if self._ahead or self._timed:
                self.refuse(
                    Timeout(
                        f"The request's head took over {limits.header_timeout:g} s. Send it again, faster.",
                        code="head_timeout",
                    )
                )
            else:
                self._transport.close()
        elif self._reading == "lingering" and now > self._deadline:
            self._transport.abort()
        elif self._intake is not None:
            self._intake.tick(now)

    def drain(self) -> None:
        """Close now if nothing is under way, else after the answer."""
        self._close_after = True
        if self.call is None and self._reading == "head":
            self._transport.close()

    def finish(self) -> None:
        """Close when what is written has gone out."""
        self._transport.close()


def _failed() -> GatewayError:
    return GatewayError("The gateway failed at this request; its log says why.", code="internal_error")
