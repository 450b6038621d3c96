"""An Ollama that may run on this machine: where it would listen, and whether it does."""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

DEFAULT_PORT = 11434
TIMEOUT = 0.3


def ollama_url(environ: Mapping[str, str]) -> str:
    """Where Ollama listens, without a path, by `OLLAMA_HOST` in the forms that Ollama reads itself: `host`,
    `host:port`, `:port`, `http(s)://host[:port]`. An address that means every interface becomes the loopback
    one.

    https://docs.ollama.com/faq (2026-11)
    """
    said = environ.get("OLLAMA_HOST", "").strip().strip("\"'").rstrip("/")
    scheme, found, rest = said.partition("://")
    if not found:
        scheme, rest = "http", said
    rest = rest.partition("/")[0]
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"
    host, _, port = (
        (rest, "", "") if rest.endswith("]") else rest.rpartition(":") if ":" in rest else (rest, "", "")
    )
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104 - recognised, never bound
        host = "127.0.0.1"
    default = {"http": 80, "https": 443}[scheme] if found and scheme in ("http", "https") else DEFAULT_PORT
    return f"{scheme}://{host}:{port or default}"


def ollama_answers(host: str, timeout: float = TIMEOUT) -> bool:
    """Whether an Ollama answers there. `host` is a URL as `ollama_url` gives it. Blocks, for `timeout`
    seconds at most a step (connect, answer): for the start of a process, never for an event loop."""
    try:
        parts = urlsplit(host)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORT, timeout=timeout)
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False
    try:
        connection.request("GET", "/api/version", headers={"connection": "close"})
        answer = connection.getresponse()
        return answer.status == 200 and b"version" in answer.read(4096)
    except (OSError, HTTPException, UnicodeError):
        return False
    finally:
        connection.close()
