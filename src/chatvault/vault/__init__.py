"""The vault: what no journal can rebuild. Projects, users, tokens; SQLite, `vault.db`."""
