"""The top level of a JSON object: what its fields are, where their values lie, and how to change one of them.

Only the top level is read; what lies below is skipped (and checked) by the decoder, so the cost is the
decoder's. Positions come from the decoder's own walk, never from a search for text: the decoder names the
keys and the bytes of each value, the walk finds exactly these keys and bytes one behind the other, and so is
the one way the body can be read. Refused, since two readers could understand them differently: a key that
occurs twice, and a key that equals one we decide on in all but case. Lone surrogates pass.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

import msgspec

from chatvault.core.errors import ClientError

Raw = msgspec.Raw
Body = bytes | bytearray
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_key = msgspec.json.Decoder(str).decode
# Possessive, since a key may be as long as a body, and each step back that is kept open costs memory.
_KEY: Final = re.compile(rb'[ \t\r\n]*+("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL)
_BLANK: Final = re.compile(rb"[ \t\r\n]*+")
COPIED: Final = 64 << 10
"""Bytes of a body that may be copied; to copy a large one would hold up everything else."""
_SURROGATE: Final = re.compile(rb"\\u[dD]([89a-fA-F][0-9a-fA-F]{2})")
_STAND_IN: Final = rb"\\ue\1"
"""A letter of the private use area for each surrogate: as long, and different from each other."""


class Fields(msgspec.Struct, gc=False):
    """The fields of one JSON object, and where their values lie in `body`."""

    body: Body
    values: dict[str, Raw]
    _laid: list[bytes | Raw] | None = None
    """The pieces that `body` is made of: what stands before a value and the value, in turn, and the closing brace.
    Where it was not taken apart so, `_spans` say where the values lie."""
    _spans: dict[str, tuple[int, int]] | None = None

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Where each value lies, [from, until)."""
        if self._spans is None:
            self._spans = _spans(self.body, self.values)
        return self._spans

    def patched(
        self, changes: dict[str, bytes], without: Collection[str] = ()
    ) -> bytes | list[bytes | memoryview]:
        """`body` with each named field's value replaced, or the field added in front where there was none, and the
        fields taken out that it is to be `without`.

        A large body comes back in slices, so that it is not copied.
        """
        laid = self._laid
        if laid is not None and len(changes) == 1 and not without:
            ((name, value),) = changes.items()
            if name in self.values:
                pieces = laid.copy()
                pieces[2 * [*self.values].index(name) + 1] = value
                return b"".join(pieces)
        body, spans = self.body, self.spans
        source = body if isinstance(body, bytes) and len(body) <= COPIED else memoryview(body)
        parts, done = list[bytes | memoryview](), 0
        new = [b'"%s":%s' % (name.encode(), changes[name]) for name in changes if name not in spans]
        if new:
            done = body.index(b"{") + 1
            more = spans.keys() - without if without else spans
            parts += [source[:done], b",".join(new) + (b"," if more else b"")]
        inside = [(*spans[name], value) for name, value in changes.items() if name in spans]
        if without:
            inside += self._gaps(without)
        if len(inside) > 1:
            inside.sort()
        for start, end, value in inside:
            parts += [source[done:start], value]
            done = end
        parts.append(source[done:])
        return b"".join(parts) if source is body else parts

    def _gaps(self, without: Collection[str]) -> list[tuple[int, int, bytes]]:
        """Where the fields lie that are taken out, each with the comma behind it, or, behind one that stays, before
        it."""
        gaps, begins, stays = [], self.body.index(b"{") + 1, False
        for name, (_, end) in self.spans.items():
            behind = _after_blanks(self.body, end)  # the comma or the brace
            if name not in without:
                stays = True
            elif stays:
                gaps.append((begins - 1, end, b""))
            else:
                gaps.append((begins, behind if self.body[behind - 1] == _COMMA else end, b""))
            begins = behind
        return gaps


_PLAIN_KEY: Final = re.compile(r"[a-z0-9_]{1,64}")
_MOST_KEYS: Final = 32


@lru_cache(maxsize=256)
def _leads(names: tuple[str, ...], wide: bool) -> tuple[bytes, ...] | None:
    """What stands before each value of an object with these keys, and behind the last, as most clients write it, with a
    blank behind commas and colons if `wide`. None for keys that can be written in another way, or that are kept from
    being remembered: lower-case letters, digits and `_` alone are written in one."""
    if not names or len(names) > _MOST_KEYS or not all(map(_PLAIN_KEY.fullmatch, names)):
        return None
    comma, colon = (b", ", b": ") if wide else (b",", b":")
    leads = [b'%b"%b"%b' % (comma, name.encode(), colon) for name in names]
    leads[0] = b"{" + leads[0][len(comma) :]
    return *leads, b"}"


def _laid_out(body: bytes, values: dict[str, Raw]) -> list[bytes | Raw] | None:
    """The pieces that `body` is made of, where it is written as most clients write; None where it is not.

    Made again of the keys and values that the decoder found, each once, the body is the same byte for byte: so it
    holds each key once, and these are their places.
    """
    names = tuple(values)
    if len(body) > COPIED or len("".join(names)) > _MOST_KEYS * 64:
        return None
    leads = _leads(names, body.startswith(b'": ', body.find(b'"', 2)))
    if leads is None:
        return None
    pieces: list[bytes | Raw] = [*leads, *values.values()]
    pieces[0::2], pieces[1::2] = leads, values.values()
    return pieces if b"".join(pieces) == body else None


def scan(body: Body, decided: frozenset[str]) -> Fields:
    """The top-level fields of `body`. `decided` are the lower-case names that we act on.

    Raises ClientError (400) for what is not one JSON object in UTF-8, is nested too deep, or has keys that
    collide.
    """
    text, values = _values(body)
    if text is body and isinstance(body, bytes):
        laid = _laid_out(body, values)
        if laid is not None:
            return Fields(body, values, laid)
    names = "".join(values)
    if not (names.isascii() and names.islower()):
        _refuse_other_case(values, decided)
    spans = _spans(text, values)
    if text is not body:
        values = {name: Raw(body[start:end]) for name, (start, end) in spans.items()}
    return Fields(body, values, None, spans)


def without_surrogates(text: Body) -> bytes | None:
    """`text` of the same length with other letters for its surrogates; None if it has none."""
    return _SURROGATE.sub(_STAND_IN, text) if _SURROGATE.search(text) is not None else None


def _refuse_other_case(values: dict[str, Raw], decided: frozenset[str]) -> None:
    for name in values:
        if name not in decided and name.casefold() in decided:
            raise ClientError(
                f"The field {name!r} differs from {name.casefold()!r} in case only. "
                "Send the field once, in lower case.",
                code="ambiguous_field",
                param=name.casefold(),
            )


def _values(body: Body) -> tuple[Body, dict[str, Raw]]:
    """The text that was read (`body` itself, or a copy of the same length without surrogates), and its
    fields.
    """
    try:
        if not body.isascii():
            body.decode()
        return body, _decode_fields(body)
    except UnicodeDecodeError as error:
        raise ClientError(
            f"The request body is not valid UTF-8: byte {error.start} cannot be decoded. Send JSON in UTF-8.",
            code="invalid_utf8",
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except msgspec.ValidationError:
        raise _no_object() from None
    except msgspec.DecodeError as error:
        return _values_with_surrogates(body, error)


def _values_with_surrogates(body: Body, error: msgspec.DecodeError) -> tuple[bytes, dict[str, Raw]]:
    """Lone surrogates are no business of ours: read a copy in which they are plain letters."""
    text = without_surrogates(body)
    try:
        if text is not None:
            return text, _decode_fields(text)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError:
        pass
    raise ClientError(
        f"The request body is not valid JSON: {error}. Send one JSON object.", code="invalid_json"
    ) from None


def _spans(body: Body, values: dict[str, Raw]) -> dict[str, tuple[int, int]]:
    """Where each value lies. The decoder keeps one value a key, so a key that occurs twice makes the walk
    miss the end.

    A value's own bytes must be found where the walk expects it: its length alone could be met by other bytes.
    """
    spans, at = {}, body.index(b"{") + 1
    for name, value in values.items():
        quoted = _quoted(name) if len(name) <= _REMEMBERED else b'"%s"' % name.encode()
        raw = memoryview(value)  # no copy: a value may be as large as a body
        start = at + len(quoted) + (2 if body.startswith(b" ", at + len(quoted) + 1) else 1)
        if not (
            body.startswith(quoted, at)
            and body.startswith(b":", at + len(quoted))
            and body.startswith(raw, start)
        ):
            start = _value_start(body, at, name, quoted, raw)
        end = start + len(raw)
        spans[name] = (start, end)
        at = end + 1 if body[end] in b",}" else _after_blanks(body, end)
        closer = body[at - 1]
        if closer == _COMMA:
            if body.startswith(b" ", at):
                at += 1
        elif closer != _CLOSE:
            raise _twice()
    if not values:
        at = _after_blanks(body, at)
    if body[at - 1] != _CLOSE:
        raise _twice()
    return spans


def _value_start(body: Body, at: int, name: str, quoted: bytes, raw: memoryview) -> int:
    """Where the value of the key at `at` begins, however it is spelled and spaced."""
    key = _KEY.match(body, at)
    if (
        key is None
        or (key[1] != quoted and not _same_key(key[1], name))
        or not body.startswith(raw, key.end())
    ):
        raise _twice()
    return key.end()


_CLOSE: Final = ord("}")
_COMMA: Final = ord(",")
_REMEMBERED: Final = 64
"""Characters of a key whose bytes may be kept; a client's key can be as long as its body."""


@lru_cache(maxsize=256)
def _quoted(name: str) -> bytes:
    """The key as it is mostly written."""
    return b'"%s"' % name.encode()


def _after_blanks(body: Body, at: int) -> int:
    match = _BLANK.match(body, at)
    assert match is not None  # it matches nothing, too
    return match.end() + 1


def _same_key(raw: bytes, name: str) -> bool:
    return _decode_key(raw) == name


def _twice() -> ClientError:
    return ClientError(
        "A field occurs twice in the request body. Send each field once.", code="duplicate_field"
    )


def _too_deep() -> ClientError:
    return ClientError("The request body is nested too deep. Flatten it.", code="json_too_deep")


def _no_object() -> ClientError:
    return ClientError(
        'The request body is JSON, but not an object. Send an object: {"model": ..., ...}.',
        code="invalid_json",
    )
