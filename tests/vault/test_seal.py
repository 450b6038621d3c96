"""What a sealed key can be opened with, and where."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.secrets import Secret
from chatvault.vault.master import MasterKey, master_key, new_master_key, parse_master_keys, written
from chatvault.vault.seal import Sealed, Seat, seal, unseal

MASTER = master_key(bytes(range(32)))
SEAT = Seat("openai", "team", "key_1", 1)
KEY = Secret("sk-0123456789abcdef")


def opens(master: MasterKey, seat: Seat, sealed: Sealed) -> bool:
    try:
        return unseal(master, seat, sealed) == KEY
    except ValueError:
        return False


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_what_is_sealed_opens_as_it_was(text: str) -> None:
    sealed = seal(MASTER, SEAT, Secret(text))
    assert unseal(MASTER, SEAT, sealed).reveal() == text
    assert len(sealed.nonce) == 12
    assert len(sealed.text) == len(text) + 16


def test_no_two_seals_are_alike() -> None:
    sealed = [seal(MASTER, SEAT, KEY) for _ in range(100)]
    assert len({each.nonce for each in sealed}) == 100
    assert len({each.text for each in sealed}) == 100


@pytest.mark.parametrize(
    "other",
    [
        Seat("groq", "team", "key_1", 1),
        Seat("openai", "other", "key_1", 1),
        Seat("openai", None, "key_1", 1),
        Seat("openai", "team", "key_2", 1),
        Seat("openai", "team", "key_1", 2),
        Seat("openaiteam", "", "key_1", 1),
        Seat('openai","team', None, "key_1", 1),
    ],
)
def test_it_opens_in_no_other_seat(other: Seat) -> None:
    sealed = seal(MASTER, SEAT, KEY)
    assert opens(MASTER, SEAT, sealed)
    assert not opens(MASTER, other, sealed)


def test_it_opens_with_no_other_master_key() -> None:
    assert not opens(new_master_key(), SEAT, seal(MASTER, SEAT, KEY))


@given(st.data())
def test_no_changed_bit_goes_unseen(data: st.DataObject) -> None:
    sealed = seal(MASTER, SEAT, KEY)
    field = data.draw(st.sampled_from(["nonce", "text"]))
    raw = bytearray(getattr(sealed, field))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not opens(MASTER, SEAT, msgspec.structs.replace(sealed, **{field: bytes(raw)}))


@pytest.mark.parametrize(
    ("nonce", "text"), [(b"", b""), (b"x" * 12, b""), (b"x" * 3, b"y" * 40), (b"", b"y" * 40)]
)
def test_what_was_cut_does_not_open(nonce: bytes, text: bytes) -> None:
    with pytest.raises(ValueError, match="changed"):
        unseal(MASTER, SEAT, Sealed(MASTER.id, nonce, text))


def test_master_keys_are_read_in_any_spelling_the_first_one_first() -> None:
    one, two, three = (new_master_key() for _ in range(3))
    plain = base64.b64encode(two.key).decode()
    urlsafe = base64.urlsafe_b64encode(three.key).decode().rstrip("=")
    text = f"# those of the house\n{one.key.hex().upper()},{plain}  # a remark\n{urlsafe} {one.key.hex()}\n"
    assert parse_master_keys(text) == (one, two, three)
    assert parse_master_keys(written((two, one)).decode()) == (two, one)
    assert parse_master_keys("  # nothing\n") == ()


@pytest.mark.parametrize(
    "text", ["secret", "00" * 31, "00" * 33, base64.b64encode(bytes(16)).decode(), "ü" * 64]
)
def test_anything_else_is_no_master_key_and_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes") as error:
        parse_master_keys(text)
    assert text not in str(error.value)


def test_no_key_shows_when_it_is_printed() -> None:
    assert MASTER.key.hex() not in repr(MASTER)
    assert str(MASTER.key) not in repr(MASTER)
    assert MASTER.id in repr(MASTER)
