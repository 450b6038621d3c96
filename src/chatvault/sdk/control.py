"""A small blocking client of the control plane, over the socket that only the gateway's owner can open: it
needs no token. The commands of the shell use it."""

import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatvault.config.runtime import ADMIN_SOCKET, is_private, runtime_places
from chatvault.core.errors import ChatVaultError, OperatorError


class Refusal(ChatVaultError):
    """The control plane said no: `http_status`, `code` and `message` are its own."""

    kind = "refusal"


class ControlClient:
    """`timeout`: seconds that each answer may take."""

    def __init__(
        self, data_dir: Path, environ: Mapping[str, str] | None = None, *, timeout: float = 15.0
    ) -> None:
        self._data_dir = data_dir
        self._places = runtime_places(data_dir) if environ is None else runtime_places(data_dir, environ)
        self._timeout = timeout

    def request(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer; None for an empty one. `path` includes the query, encoded.

        Raises Refusal for an error answer, and OperatorError when no gateway runs for this data folder, or
        when it does not answer.
        """
        connection = http.client.HTTPConnection("localhost", timeout=self._timeout)
        connection.sock = self._connect()
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            content = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise OperatorError(
                f"The gateway of {self._data_dir} did not answer ({type(error).__name__}). "
                "It may be restarting: try again in a moment.",
                code="control_unreachable",
            ) from None
        finally:
            connection.close()
        value = _decoded(data)
        if response.status >= 400:
            raise _refusal(response.status, value)
        return value

    def _connect(self) -> socket.socket:
        for place in self._places:
            path = place / ADMIN_SOCKET
            if not place.exists():
                continue
            if not is_private(place):
                raise OperatorError(
                    f"{place} is not a folder that you alone own and may enter: nothing in it is believed. "
                    "If the gateway is another user's, ask as that user.",
                    code="runtime_dir_unsafe",
                )
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout)
            try:
                connection.connect(str(path))
            except OSError:
                connection.close()
                continue
            return connection
        raise OperatorError(
            f"No gateway runs for the data folder {self._data_dir}. Start it with "
            f"`chatvault serve --data-dir {self._data_dir}`, or name the folder of one that runs "
            "with --data-dir.",
            code="not_running",
        )


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data) if data else None
    except msgspec.DecodeError:
        return None


def _refusal(status: int, value: Any) -> Refusal:
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return Refusal(f"The gateway answered with status {status}.", code="refused", status=status)
    param = error.get("param")
    return Refusal(
        str(error.get("message", "")),
        code=str(error.get("code", "refused")),
        param=None if param is None else str(param),
        status=status,
    )
