"""The control plane: tokens, usage, health, and the feed that workers live on."""
