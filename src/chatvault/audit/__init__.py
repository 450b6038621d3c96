"""The audit record: lines, chains, files, signatures, verification. The journal is the source of truth."""
