"""`openai.completions`: a text in, its continuation out.

See https://platform.openai.com/docs/api-reference/completions (seen 2026-11). Its answers are chat's but
for where the text stands.
"""
