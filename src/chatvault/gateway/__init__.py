"""The data plane: one call after another, from its first byte to its settlement."""
