"""Dialects, HTTP heads, event streams, field scan and patch. Sans-IO: bytes in, values out; no sockets, no
await.
"""
