"""The ledger: the SQL database derived from the journal, for questions."""
