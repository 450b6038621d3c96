"""The upstream HTTP client: pool, stream, TLS, timeouts."""
