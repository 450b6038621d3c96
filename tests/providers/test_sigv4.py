"""Signatures against AWS's own published test suite
(https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4, 2026-11)."""

import pytest

from chatvault.config.snapshot import AwsKeys, ProviderSnapshot
from chatvault.core.seam import Header, Request
from chatvault.providers.signer import signer_of
from chatvault.providers.sigv4 import Asked, SigV4, authorization, canonical_request, digest, timestamp

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = AwsKeys(region="us-east-1", access_key_id="AKIDEXAMPLE", secret_access_key=SECRET, service="service")
STAMP = "20150830T123600Z"
AT = 1_440_938_160_000_000
HOST: Header = (b"host", b"example.amazonaws.com")
DATE: Header = (b"x-amz-date", STAMP.encode())
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"

VECTORS = [
    ("get-vanilla", b"/", [HOST, DATE], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    (
        "get-vanilla-with-session-token",
        b"/",
        [HOST, DATE, (b"x-amz-security-token", TOKEN.encode())],
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
    (
        "get-vanilla-query-order-key-case",
        b"/?Param2=value2&Param1=value1",
        [HOST, DATE],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-utf8",
        "/\u1234".encode(),
        [HOST, DATE],
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "get-header-value-trim",
        b"/",
        [HOST, (b"my-header1", b" value1"), (b"my-header2", b' "a   b   c"'), DATE],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
]


@pytest.mark.parametrize(
    ("target", "headers", "signature"), [each[1:] for each in VECTORS], ids=[each[0] for each in VECTORS]
)
def test_the_published_signatures_come_out(target: bytes, headers: list[Header], signature: str) -> None:
    asked = Asked(b"GET", target, headers, digest(b""))
    names = ";".join(name.decode() for name, _ in sorted(headers))
    assert authorization(asked, KEYS, STAMP) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_a_body_in_slices_is_the_body() -> None:
    assert digest([b"ab", memoryview(b"xcd")[1:]]) == digest(b"abcd") != digest(b"")


def test_the_time_is_told_to_the_second_in_utc() -> None:
    assert timestamp(AT) == timestamp(AT + 999_999) == STAMP


def test_a_path_is_encoded_once_more_than_it_is_sent() -> None:
    asked = Asked(b"POST", b"/model/arn%3Aaws%3Abedrock%2Fa-b_c.d~e/converse", [HOST], digest(b"{}"))
    path = canonical_request(asked)[1].split(b"\n")[1]
    assert path == b"/model/arn%253Aaws%253Abedrock%252Fa-b_c.d~e/converse"


def test_a_request_is_given_its_date_and_its_signature() -> None:
    signed = dict(SigV4(KEYS).fields(Request(b"GET", b"/", [(b"accept", b"any")]), HOST[1], AT))
    assert signed.keys() == {b"x-amz-date", b"authorization"}
    assert signed[b"x-amz-date"] == STAMP.encode()
    assert signed[b"authorization"].endswith(VECTORS[0][3].encode())


def test_lent_keys_go_with_their_token() -> None:
    keys = AwsKeys(
        region="us-east-1",
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SECRET,
        session_token=TOKEN,
        service="service",
    )
    signed = dict(SigV4(keys).fields(Request(b"GET", b"/", []), HOST[1], AT))
    assert signed[b"x-amz-security-token"] == TOKEN.encode()
    assert signed[b"authorization"].endswith(VECTORS[1][3].encode())


@pytest.mark.parametrize(
    "other",
    [
        Request(b"POST", b"/a", [(b"content-type", b"application/json")], b'{"a":2}'),
        Request(b"POST", b"/b", [(b"content-type", b"application/json")], b'{"a":1}'),
        Request(b"POST", b"/a", [(b"content-type", b"text/plain")], b'{"a":1}'),
        Request(b"POST", b"/a", [(b"content-type", b"application/json"), (b"x-amz-a", b"b")], b'{"a":1}'),
        Request(b"PUT", b"/a", [(b"content-type", b"application/json")], b'{"a":1}'),
    ],
)
def test_what_is_signed_cannot_be_changed(other: Request) -> None:
    first = Request(b"POST", b"/a", [(b"content-type", b"application/json")], b'{"a":1}')
    signer = SigV4(KEYS)
    said = dict(signer.fields(first, HOST[1], AT))[b"authorization"]
    assert dict(signer.fields(other, HOST[1], AT))[b"authorization"] != said
    assert dict(signer.fields(first, b"elsewhere", AT))[b"authorization"] != said
    assert dict(signer.fields(first, HOST[1], AT + 1_000_000))[b"authorization"] != said


def test_a_provider_with_keys_is_signed_for_and_never_shows_them() -> None:
    provider = ProviderSnapshot(name="aws", kind="bedrock", base_url="http://a", signing=KEYS)
    assert isinstance(signer_of(provider), SigV4)
    assert signer_of(ProviderSnapshot(name="b", kind="openai", base_url="http://b")) is None
    assert SECRET not in repr(provider) + repr(KEYS) + f"{KEYS}"
