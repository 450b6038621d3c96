"""Migrations of the ledger, append-only: one file a revision under `versions/`."""
