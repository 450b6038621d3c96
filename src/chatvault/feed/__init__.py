"""The feed: the one ordered connection between control and a worker, over an owner-only unix socket."""
