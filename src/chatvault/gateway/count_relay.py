"""A provider's count of tokens, told to the client in the client's own dialect."""

from typing import TYPE_CHECKING, Final

from chatvault.core.errors import UpstreamError
from chatvault.core.seam import Fault, Head
from chatvault.gateway.count_translation import CountTranslation

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_MOST_HELD: Final = 1 << 20
_REPLACED: Final = frozenset((b"content-type", b"content-encoding", b"cache-control"))


class CountRelay:
    """The `Answer` of an attempt at a count whose provider speaks another dialect than the client."""

    __slots__ = ("_body", "_call", "_head", "_translation")

    def __init__(self, call: "Call", translation: CountTranslation) -> None:
        self._call = call
        self._translation = translation
        self._head: Head | None = None
        self._body = b""

    def head(self, head: Head) -> None:
        self._head = head

    def body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > _MOST_HELD:
            self._call.attempt_failed(Fault("protocol_error", f"a count of over {_MOST_HELD} bytes"))

    def end(self) -> None:
        call, head = self._call, self._head
        assert head is not None
        call.first_byte()
        if head.status >= 400:
            failed, said = self._translation.retell_error(head.status, self._body)
            call.outcome.detail = failed.message
            self._show(head, said)
            return
        try:
            self._show(head, self._translation.retell(self._body))
        except ValueError as error:
            call.outcome.code = "upstream_not_json"
            call.outcome.detail = f"{error}; it began: {self._body[:200].decode(errors='replace')}"
            call.fail(
                "upstream_error",
                UpstreamError(
                    f"The provider '{call.provider_name}' answered with something that is no count of tokens. Check "
                    "its base URL and its kind.",
                    code="upstream_not_json",
                ),
            )

    def fault(self, fault: Fault) -> None:
        self._call.attempt_failed(fault)

    def _show(self, head: Head, body: bytes) -> None:
        kept = [pair for pair in head.headers if pair[0] not in _REPLACED]
        self._call.keep_body(body)
        self._call.finish_whole(
            Head(head.status, [*kept, (b"content-type", b"application/json")], None), body
        )
