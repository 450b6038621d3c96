"""Commands to Valkey and Redis, as they are written. https://valkey.io/topics/protocol/ (seen 2026-11)."""


def bulk(value: bytes) -> bytes:
    """One word of a command."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def command(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words)))
