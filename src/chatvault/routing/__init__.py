"""Where a call goes: pure decisions over a snapshot of the configuration."""
