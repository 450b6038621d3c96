"""What no journal could rebuild: projects, tokens, keys, budgets."""
