"""A provider account with a key of the vault in place of its own credential."""

from chatvault.config.snapshot import ProviderSnapshot
from chatvault.providers import longtail
from chatvault.providers.rows import ROWS


def not_keyed(provider: ProviderSnapshot) -> str | None:
    """Why calls to it cannot be signed with a key of the vault; None where they can."""
    if provider.signing is not None:
        return "each of its calls is signed by itself, with credentials of the configuration"
    if provider.kind == longtail.KIND:
        return "LiteLLM's process calls it, with the keys in its `env`"
    return None


def keyed(provider: ProviderSnapshot, key: str) -> dict[str, dict[str, str]]:
    """By family of dialects: its header fields, with the key for whatever the configuration has as credential."""
    row = ROWS[provider.kind]
    found = {}
    for family, face in provider.faces.items():
        headers = {name: value for name, value in face.headers.items() if name not in row.credentials}
        found[family] = headers | row.faces[family].signed(key)
    return found
