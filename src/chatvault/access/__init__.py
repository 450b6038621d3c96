"""Who may do what: tokens and grants. Pure decisions over values."""
