"""TLS towards providers: the system's trust store, and a CA of the operator's own beside it."""

import ssl

from chatvault.core.errors import OperatorError


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Raises OperatorError where the CA file cannot be used."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(
                f"The CA file {ca_file} cannot be used: {error}. Name a file with PEM certificates.",
                code="bad_ca_file",
            ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context
