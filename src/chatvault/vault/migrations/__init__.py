"""Migrations of the vault, append-only: one file a revision under `versions/`."""
