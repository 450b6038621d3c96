"""The upstream client: plain HTTP/1.1 over asyncio transports and llhttp, pooled, with deadlines. Only the
gateway uses it.
"""
