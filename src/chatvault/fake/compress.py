"""Bodies that come compressed, well, badly, or to do harm."""

import zlib

MIB = 1 << 20


def compress(parts: list[bytes], encoding: str, bomb_mib: int) -> list[bytes]:
    """`parts`, each flushed to be decoded as it comes; or the one part of a bomb of so many MiB."""
    if bomb_mib:
        return [_bomb(bomb_mib)]
    if encoding == "gzip-corrupt":
        return [bytes(byte ^ 0x5A for byte in part) for part in parts]
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    coded = [squeeze.compress(part) + squeeze.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    if coded:
        coded[-1] += squeeze.flush(zlib.Z_FINISH)
    return coded


def _bomb(size_mib: int) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = b" " * MIB
    return b"".join(squeeze.compress(blank) for _ in range(size_mib)) + squeeze.flush(zlib.Z_FINISH)
