"""One provider, several families of dialects: where each of its faces listens, and how a call to it is signed."""

from chatvault.config.snapshot import Face
from chatvault.providers.row import ProviderRow


def root_of(row: ProviderRow, url: str) -> str | None:
    """What all faces of a provider lie under, by a base URL that may be any face's. None: it cannot be told,
    and only the main face is where the URL says."""
    url = url.rstrip("/")
    paths = sorted({face.path for face in row.faces.values()}, key=len, reverse=True)
    for path in paths:
        if url.endswith(path):  # the empty one last: a face at the root
            return url.removesuffix(path)
    return url if row.rooted or url == row.root else None


def faces_of(
    row: ProviderRow, url: str, own: dict[str, str], key: str | None, bearer: str | None
) -> dict[str, Face]:
    """By family, the preferred first. `own` are the account's header fields (in lower case): they hold over
    the row's, and one of them may be the credential; else it is the `key`, else the `bearer` token."""
    root = root_of(row, url)
    faces = {}
    for family, face in row.faces.items():
        if root is None and family != row.main:
            continue
        headers = face.headers | own
        if not row.credentials & own.keys():
            if key is not None:
                headers |= face.signed(key)
            elif bearer is not None:
                headers["authorization"] = f"Bearer {bearer}"
        where = url.rstrip("/") if root is None else _below(root, face.path)
        faces[family] = Face(where, headers, face.sets, face.drops, face.moves)
    return faces


def _below(root: str, path: str) -> str:
    if root.startswith("unix:") and path and ":" not in root.removeprefix("unix:"):
        root += ":"  # unix:/path/to/socket:/path
    return root + path
