"""The ledger: the SQL database derived from the journal, for questions. Deleting it loses nothing: the
recorder builds it anew."""
