"""The field `model` of a multipart form, found while the form comes in (RFC 7578). Sans-IO; nothing else of the form is touched."""

import re
from typing import Final

from chatvault.core.errors import ClientError, TooLarge

_BOUNDARY: Final = re.compile(
    rb';[ \t]*boundary=(?:"([^"\r\n]{1,70})"|([0-9A-Za-z\'()+_,\-./:=?]{1,70}))', re.I
)
_MODEL_PART: Final = re.compile(
    rb'content-disposition[ \t]*:[ \t]*form-data[^\r\n]*;[ \t]*name=(?:"model"|model(?=[;\r]))', re.I
)
_ENCODED_NAME: Final = re.compile(rb"[; \t]name\*", re.I)
_MAX_MODEL: Final = 1024
_MAX_HEAD: Final = 16 << 10


class ModelField:
    """Feed it the form's bytes. `model` is the field's value, `span` where it lies in the form; both None as long as it has not come.

    Refused, since the provider might read the form otherwise: a second field `model`, a name in RFC 5987 form, and a model that
    comes after more than `max_held` bytes.
    """

    __slots__ = ("_at", "_border", "_data", "_max", "model", "over", "span")

    def __init__(self, content_type: bytes, max_held: int) -> None:
        """Raises ClientError (400) for a multipart type without a boundary."""
        match = _BOUNDARY.search(content_type)
        if match is None:
            raise ClientError(
                "The multipart content-type has no boundary. Let your HTTP library set it.",
                code="bad_multipart",
            )
        self._border = b"--" + (match[1] or match[2])
        self._data = bytearray()
        self._at = 0
        self._max = max_held
        self.model: str | None = None
        self.span: tuple[int, int] | None = None
        self.over = False

    def feed(self, data: bytes) -> bool:
        """Whether what matters is known: the model, or that the form is over without one. Raises ClientError (400, 413)."""
        self._data += data
        self._advance()
        if self.model is None and not self.over and self._at + len(self._data) > self._max:
            raise TooLarge(
                f"The form holds no field 'model' in its first {self._max} bytes. Put 'model' before the file.",
                code="model_not_found",
                param="model",
            )
        return self.model is not None or self.over

    def _advance(self) -> None:
        """Look at every part head that is whole; forget what was looked at."""
        data, border, at = self._data, self._border, 0
        while not self.over:
            start = data.find(border, at)
            if start < 0:
                at = max(at, len(data) - len(border))
                break
            head_end = data.find(b"\r\n\r\n", start)
            if data.startswith(b"--", start + len(border)):
                self.over = True
            elif head_end < 0:
                at = start
                if len(data) - start > _MAX_HEAD:
                    raise ClientError("A part of the form has too long a head.", code="bad_multipart")
                break
            elif not self._part(start + len(border), head_end):
                at = start
                break
            else:
                at = head_end
        self._at += at
        del data[:at]

    def _part(self, start: int, head_end: int) -> bool:
        """False: this is the model's part, and its value is not whole yet."""
        data = self._data
        if _ENCODED_NAME.search(data, start, head_end + 2) is not None:
            raise ClientError(
                "A field of the form has an encoded name (name*=). Send plain names.", code="bad_multipart"
            )
        if _MODEL_PART.search(data, start, head_end + 2) is None:
            return True
        end = data.find(b"\r\n" + self._border, head_end + 2)
        if end < 0:
            if len(data) - head_end > _MAX_MODEL + len(self._border):
                raise ClientError("The field 'model' is too long.", code="invalid_field", param="model")
            return False
        if self.model is not None:
            raise ClientError(
                "The form holds the field 'model' twice. Send it once.", code="duplicate_field", param="model"
            )
        first = head_end + 4
        self.span = (self._at + first, self._at + max(end, first))
        try:
            self.model = bytes(data[first:end]).decode()
        except UnicodeDecodeError:
            raise ClientError(
                "The field 'model' is not UTF-8.", code="invalid_field", param="model"
            ) from None
        return True
