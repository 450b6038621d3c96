"""Anthropic's Messages API (https://docs.anthropic.com/en/api/messages, seen 2026-11): requests, answers,
streams, errors, and the tap beside a relay.
"""
