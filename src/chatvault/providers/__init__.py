"""Where calls go and how they are signed: a table of rows, merged with the configuration and the
environment."""
