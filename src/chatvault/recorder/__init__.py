"""The recorder: follows the journal, and makes the ledger and other views of it. Nothing that decides
about a call waits for it."""
