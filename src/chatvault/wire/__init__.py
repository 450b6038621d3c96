"""Dialects, event framing, field scan and patch. Bytes in, values out; no sockets, no waiting."""
