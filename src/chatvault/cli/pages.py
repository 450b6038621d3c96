"""Lists of the control plane, whole: page after page."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from chatvault.sdk.control import ControlClient


def everything(client: "ControlClient", path: str, filters: dict[str, str | None]) -> list[dict[str, Any]]:
    """All rows of a list that comes in pages. Raises ChatVaultError."""
    query = urlencode(
        {name: value for name, value in filters.items() if value is not None} | {"limit": "1000"}
    )
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.request(
            "GET", f"{path}?{query}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")
        )
        found += page["data"]
        cursor = page["cursor"]
    return found
