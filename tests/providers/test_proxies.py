import pytest

from chatvault.providers.proxies import proxy_for

HTTPS = "https://api.openai.com/v1"
ENV = {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "http://plain:3128"}


@pytest.mark.parametrize(
    ("said", "url", "environ", "proxy"),
    [
        (None, HTTPS, {}, None),
        (None, HTTPS, ENV, "http://proxy:3128"),
        (None, HTTPS, {"https_proxy": "proxy:3128"}, "proxy:3128"),
        (None, "http://gpu:8000/v1", ENV, "http://plain:3128"),
        (None, "unix:/run/llm.sock:/v1", ENV, None),
        (None, "http://127.0.0.1:11434/v1", ENV, None),
        (None, "http://localhost:11434/v1", ENV, None),
        (None, "http://[::1]:11434/v1", ENV, None),
        (None, HTTPS, ENV | {"NO_PROXY": "*"}, None),
        (None, HTTPS, ENV | {"NO_PROXY": "example.com, openai.com"}, None),
        (None, HTTPS, ENV | {"no_proxy": ".openai.com"}, None),
        (None, HTTPS, ENV | {"NO_PROXY": "*.openai.com:443"}, None),
        (None, HTTPS, ENV | {"NO_PROXY": "penai.com,,"}, "http://proxy:3128"),
        (None, "http://10.1.2.3:8000/v1", ENV | {"NO_PROXY": "10.0.0.0/8"}, None),
        (None, "http://10.1.2.3:8000/v1", ENV | {"NO_PROXY": "10.1.2.3"}, None),
        ("http://mine:1", HTTPS, ENV, "http://mine:1"),
        ("", HTTPS, ENV, ""),
    ],
)
def test_which_proxy(said: str | None, url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(said, url, environ) == (proxy, None)


def test_what_is_no_proxy() -> None:
    assert proxy_for("socks5://x:1", HTTPS, {}) == (None, "proxy: write http://host:port")
    _, wrong = proxy_for(None, HTTPS, {"HTTPS_PROXY": "socks5://user:secret@x:1"})
    assert wrong is not None
    assert "HTTPS_PROXY" in wrong
    assert "secret" not in wrong
