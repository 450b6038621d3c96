"""The composition roots: the supervisor and the entry of each process. The only place that knows everything."""
