"""What a base URL says."""

import pytest

from chatvault.core.errors import OperatorError
from chatvault.net.origin import Origin, parse_origin


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("https://api.openai.com/v1", Origin(True, "api.openai.com", 443, "/v1"), b"api.openai.com"),
        ("https://api.openai.com/v1/", Origin(True, "api.openai.com", 443, "/v1"), b"api.openai.com"),
        ("http://localhost:11434", Origin(False, "localhost", 11434, ""), b"localhost:11434"),
        ("http://h:80/", Origin(False, "h", 80, ""), b"h"),
        ("https://h:80", Origin(True, "h", 80, ""), b"h:80"),
        ("http://[::1]:8080/a/b", Origin(False, "::1", 8080, "/a/b"), b"[::1]:8080"),
        ("unix:/run/x.sock", Origin(False, "localhost", 80, "", "/run/x.sock"), b"localhost"),
        ("unix:/run/x.sock:/v1/", Origin(False, "localhost", 80, "/v1", "/run/x.sock"), b"localhost"),
    ],
)
def test_base_urls(url: str, origin: Origin, authority: bytes) -> None:
    assert parse_origin(url) == origin
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://h",
        "http://",
        "http://user:pass@h",
        "http://h:99999",
        "http://h:x",
        "http://h/a b",
        "http://h/a\r\nb",
        "http://h/\u00e9",
        "http://h/v1?api-version=1",
        "http://h/v1#part",
        "http://h\\x",
    ],
)
def test_what_is_no_base_url(url: str) -> None:
    with pytest.raises(OperatorError) as caught:
        parse_origin(url)
    assert caught.value.code == "bad_base_url"
