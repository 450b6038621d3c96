"""The configuration: what may be set, where it is read, what it becomes."""
