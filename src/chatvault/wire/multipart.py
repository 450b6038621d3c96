"""The field `model` of a multipart form, found while the form comes in (RFC 7578). Sans-IO; nothing of the
form is touched.

Who decides by one reading of a form, and forwards it to somebody with another, has decided nothing. So a form
is read by the letter of RFC 2046: a border stands at the beginning of a line and fills it, a head is whole
lines that end with CRLF. What a lenient reader might understand otherwise (a preamble, folded or bare lines,
a border with more behind it, encoded names, a second model) is refused, while everything that HTTP libraries
send passes.
"""

import re
from typing import Final, Literal

from chatvault.core.errors import ClientError, TooLarge

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_CONTENT_TYPE: Final = re.compile(
    rb"multipart/" + _TOKEN + rb'[ \t]*+((?:;[ \t]*+(?:[^;="]++=(?:"[^"\\]*+"|[^;"\\]*+)[ \t]*+)?)*)',
    re.IGNORECASE,
)
_TYPE_PARAMETER: Final = re.compile(rb';[ \t]*+([^;="]++)=(?:"([^"\\]*+)"|([^;"\\]*+))')
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_HEAD: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\r\n\0]*+\r\n)*+")
_DISPOSITION: Final = re.compile(
    rb'form-data[ \t]*+((?:;[ \t]*+[^;="]++=(?:"(?:[^"\\]++|\\.)*+"|[^;"]*+)[ \t]*+)*+)', re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb';[ \t]*+([^;="]++)=(?:"((?:[^"\\]++|\\.)*+)"|([^;"]*+))')
_PLAIN_CODINGS: Final = frozenset((b"7bit", b"8bit", b"binary"))
_MAX_MODEL: Final = 1024
_MAX_HEAD: Final = 16 << 10

Where = Literal["opening", "border", "head", "content", "model"]


class ModelField:
    """Feed it the form's bytes. `model` is the field's value, `span` where it lies in the form; None while it
    has not come.
    """

    __slots__ = ("_at", "_border", "_data", "_max", "_where", "model", "over", "span")

    def __init__(self, content_type: bytes, max_held: int) -> None:
        """`max_held`: bytes of the form that may come before the model is known. Raises ClientError (400)."""
        self._border = b"\r\n--" + _boundary(content_type)
        self._data = bytearray()
        self._at = 0
        """Where `_data` begins in the form."""
        self._max = max_held
        self._where: Where = "opening"
        self.model: str | None = None
        self.span: tuple[int, int] | None = None
        self.over = False

    def feed(self, data: bytes) -> bool:
        """Whether what matters is known: the model, or that the form is over without one. Raises ClientError
        (400, 413).
        """
        if not self.over:
            self._read(data)
        return self.model is not None or self.over

    def _read(self, data: bytes) -> None:
        self._data += data
        while self._step():
            pass
        reached = self.span[0] if self.span is not None else self._at + len(self._data)
        if self.over:
            self._data.clear()
            reached = reached if self.span is not None else 0
        if reached > self._max:
            raise TooLarge(
                f"The form holds no field 'model' in its first {self._max} bytes. Put 'model' before the file.",
                code="model_not_found",
                param="model",
            )

    def _step(self) -> bool:
        """Read one thing more. False: it is not whole yet."""
        match self._where:
            case "opening":
                return self._opening()
            case "border":
                return self._after_border()
            case "head":
                return self._head()
            case "content":
                return self._content()
            case "model":
                return self._value()

    def _drop(self, count: int) -> None:
        self._at += count
        del self._data[:count]

    def _opening(self) -> bool:
        """The form begins with a border, behind at most one empty line."""
        border, data = self._border, self._data
        for opening in (border, border[2:]):
            if data.startswith(opening):
                self._drop(len(opening))
                self._where = "border"
                return True
        if not border.startswith(data) and not border[2:].startswith(data):
            raise _bad("it does not begin with its boundary")
        return False

    def _after_border(self) -> bool:
        data = self._data
        if len(data) < 2:
            return False
        if data.startswith(b"--"):
            self.over = True
            return False
        if not data.startswith(b"\r\n"):
            raise _bad("a line begins with the boundary and goes on")
        self._where = "head"
        return True

    def _head(self) -> bool:
        """A part's head. It lies behind the CRLF of its border, and so does an empty one."""
        data = self._data
        end = data.find(b"\r\n\r\n")
        if end > _MAX_HEAD or (end < 0 and len(data) > _MAX_HEAD):
            raise _bad("a part has too long a head")
        if end < 0:
            return False
        name, coding = _part(bytes(data[2 : end + 2]))
        if name == "model":
            if self.model is not None:
                raise ClientError(
                    "The form holds the field 'model' twice. Send it once.",
                    code="duplicate_field",
                    param="model",
                )
            if coding.lower() not in _PLAIN_CODINGS:
                raise _bad("the field 'model' has a transfer encoding")
        elif name is not None and name.casefold() == "model":
            raise ClientError(
                f"The field {name!r} differs from 'model' in case only. Send the field once, in lower case.",
                code="ambiguous_field",
                param="model",
            )
        self._where = "model" if name == "model" else "content"
        self._drop(end + 2)  # the head's last CRLF stays, so that a border directly behind it is seen
        return True

    def _content(self) -> bool:
        data, border = self._data, self._border
        end = data.find(border)
        if end == 0:
            raise _bad("a part ends within its head")
        if end < 0:
            self._drop(max(0, len(data) - len(border)))
            return False
        self._drop(end + len(border))
        self._where = "border"
        return True

    def _value(self) -> bool:
        data = self._data
        end = data.find(self._border)
        if end == 0:
            raise _bad("a part ends within its head")
        if end > _MAX_MODEL + 2 or (end < 0 and len(data) > _MAX_MODEL + 2 + len(self._border)):
            raise ClientError("The field 'model' is too long.", code="invalid_field", param="model")
        if end < 0:
            return False
        self.span = (self._at + 2, self._at + end)
        try:
            self.model = data[2:end].decode()
        except UnicodeDecodeError:
            raise ClientError(
                "The field 'model' is not UTF-8.", code="invalid_field", param="model"
            ) from None
        self._drop(end + len(self._border))
        self._where = "border"
        return True


def _boundary(content_type: bytes) -> bytes:
    match = _CONTENT_TYPE.fullmatch(content_type)
    found: list[tuple[bytes, bytes]] = [
        (name, quoted or plain.rstrip(b" \t"))
        for name, quoted, plain in (_TYPE_PARAMETER.findall(match[1]) if match is not None else ())
        if name.lower().startswith(b"boundary")
    ]
    if len(found) != 1 or len(found[0][0]) != len("boundary") or _BOUNDARY.fullmatch(found[0][1]) is None:
        raise ClientError(
            "The multipart content-type has no boundary, or not a plain one. Let your HTTP library set it.",
            code="bad_multipart",
        )
    return found[0][1]


def _part(head: bytes) -> tuple[str | None, bytes]:
    """The name of the part with this head (None where it has none), and its transfer encoding."""
    if _HEAD.fullmatch(head) is None:
        raise _bad("the head of a part is not made of whole lines")
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n")[:-1]:
        field, _, value = line.partition(b":")
        field = field.lower()
        if field in fields and field in (b"content-disposition", b"content-transfer-encoding"):
            raise _bad(f"a part has the field {field.decode()} twice")
        fields[field] = value.strip(b" \t")
    coding = fields.get(b"content-transfer-encoding", b"binary")
    disposition = fields.get(b"content-disposition")
    return (_name(disposition) if disposition is not None else None), coding


def _name(disposition: bytes) -> str | None:
    match = _DISPOSITION.fullmatch(disposition)
    if match is None:
        raise _bad("the disposition of a part is not plain form-data")
    names = []
    for parameter, quoted, plain in _PARAMETER.findall(match[1]):
        key = parameter.strip().lower()
        if b"\\" in quoted and b";" in quoted:
            raise _bad("a name in a part's disposition can be read in two ways")
        if key == b"name":
            names.append(quoted or plain.strip(b" \t"))
        elif key.startswith(b"name"):
            raise _bad("a part has an encoded name (name*=); send plain names")
    if len(names) > 1:
        raise _bad("a part has two names")
    return names[0].replace(b"\\", b"").decode(errors="replace") if names else None


def _bad(what: str) -> ClientError:
    return ClientError(f"The form cannot be read: {what}.", code="bad_multipart")
