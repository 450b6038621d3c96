"""`ollama.chat`: Ollama's own API, `/api/chat` and its thin relative `/api/generate`
(https://docs.ollama.com/api, seen 2026-11). Streams are JSON lines.
"""
