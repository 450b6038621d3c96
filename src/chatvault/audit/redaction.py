"""Secrets out of any text before it is kept: error texts, metadata, bodies.

What looks like a credential, wherever it stands, and the value of whatever is named like one, becomes
`[redacted]`. The surroundings stay, so that JSON stays JSON. A false alarm costs a word of a record; a miss
costs a key: in doubt, it goes.

Most texts hold no secret and may be a megabyte long, so each rule has hints: the regular expression runs only
where one of them is found. No expression may look far from more than one place, which keeps time linear.
"""

import re
from typing import Final, NamedTuple


class _Rule(NamedTuple):
    """One of `hints` is in the lower-case text, or (`squeezed`) in it without `_` and `-`. Group 1 stays."""

    hints: tuple[str, ...]
    pattern: str
    squeezed: bool = False


_VENDORS: Final = (
    "gsk_", "hf_", "r8_", "nvapi-", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox",
)  # fmt: skip
_ACCOUNTS: Final = tuple(f"{name}{dash}" for name in ("cv", "sk", "rk", "pk", "xai", "pplx") for dash in "-_")
_NAMES: Final = (
    "apikey", "secretaccesskey", "clientsecret", "privatekey", "accesstoken", "refreshtoken", "idtoken",
    "sessiontoken", "authtoken", "securitytoken", "password", "passwd", "passphrase", "authorization",
    "cookie",
)  # fmt: skip
_NAME: Final = (
    r"(?:api[_\-]?key|secret[_\-]?access[_\-]?key|client[_\-]?secret|private[_\-]?key"
    r"|(?:access|refresh|id|session|auth|security)[_\-]?token|password|passwd|passphrase|authorization|cookie)"
)

_RULES: Final = (
    _Rule(
        ("private key-----",),
        r"()-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    ),
    # Our own tokens; OpenAI, Anthropic, DeepSeek, OpenRouter; Stripe; xAI; Perplexity.
    _Rule(_ACCOUNTS, r"()(?<![A-Za-z0-9])(?:cv|sk|rk|pk|xai|pplx)[-_][A-Za-z0-9_\-]{12,}"),
    # Groq, Hugging Face, Replicate, NVIDIA, GitHub, GitLab, Slack.
    _Rule(
        _VENDORS,
        r"()(?<![A-Za-z0-9])(?:gsk_|hf_|r8_|nvapi-|gh[opsru]_|github_pat_|glpat-|xox[abeoprs]-)[\w\-]{12,}",
    ),
    # Bedrock's own keys.
    _Rule(("absk", "bedrock-api-key-"), r"()(?<![A-Za-z0-9])(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=_\-]{12,}"),
    # AWS access key ids; Google API keys and OAuth tokens; JSON web tokens.
    _Rule(("akia", "asia"), r"()(?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _Rule(("aiza",), r"()(?<![A-Za-z0-9])AIza[A-Za-z0-9_\-]{30,}"),
    _Rule(("ya29.",), r"()(?<![A-Za-z0-9])ya29\.[A-Za-z0-9_\-]{12,}"),
    _Rule(("eyj",), r"()(?<![A-Za-z0-9])eyJ[\w\-]{8,999}\.[\w\-]{4,}(?:\.[\w\-]*)?"),
    # An authentication scheme.
    _Rule(("bearer", "basic"), r"(?i:(\b(?:Bearer|Basic)\s{1,9}))(?!\[redacted\])[A-Za-z0-9._~+/=\-]{6,}"),
    # A name with a quoted value: JSON, Python, environment files.
    _Rule(
        _NAMES, rf"(?i:({_NAME}[\"']?\s{{0,9}}[:=]\s{{0,9}}\"))(?!\[redacted\])(?:[^\"\\]|\\[\s\S])+", True
    ),
    _Rule(_NAMES, rf"(?i:({_NAME}[\"']?\s{{0,9}}[:=]\s{{0,9}}'))(?!\[redacted\])(?:[^'\\]|\\[\s\S])+", True),
    # The same within a JSON string, where quotes are escaped.
    _Rule(
        _NAMES,
        rf"(?i:({_NAME}\\{{1,9}}[\"']\s{{0,9}}[:=]\s{{0,9}}\\{{1,9}}[\"']))"
        r"(?!\[redacted\])(?:[^\"'\\]|\\(?![\"'\\]))+",
        True,
    ),
    # A name with a bare value: headers, query strings.
    _Rule(
        _NAMES,
        rf"(?i:({_NAME}\s{{0,9}}[:=]\s{{0,9}}))(?!\[redacted\]|(?i:Bearer|Basic)\s)[^\s\"'\\&,;}}\])]+",
        True,
    ),
    _Rule(("key=",), r"([?&]key=)[^&\s\"'\\]+"),
    # A password in a URL.
    _Rule(("://",), r"(://[^\s/:@\"'\\]{0,99}:)[^\s/@\"'\\]{1,999}(?=@)"),
)
_TEXT: Final = tuple((rule, re.compile(rule.pattern)) for rule in _RULES)
_BYTES: Final = tuple(
    (tuple(hint.encode() for hint in rule.hints), rule.squeezed, re.compile(rule.pattern.encode()))
    for rule in _RULES
)


def redact(text: str) -> str:
    """The text with its secrets replaced; JSON stays JSON."""
    lower = text.lower()
    squeezed = lower.replace("_", "").replace("-", "")
    for rule, pattern in _TEXT:
        seen = squeezed if rule.squeezed else lower
        if any(hint in seen for hint in rule.hints):
            text = pattern.sub(r"\1[redacted]", text)
    return text


def redact_bytes(data: bytes) -> bytes:
    """The same for text in any encoding that contains ASCII, and for JSON."""
    lower = data.lower()
    squeezed = lower.replace(b"_", b"").replace(b"-", b"")
    for hints, is_squeezed, pattern in _BYTES:
        seen = squeezed if is_squeezed else lower
        if any(hint in seen for hint in hints):
            data = pattern.sub(rb"\1[redacted]", data)
    return data
