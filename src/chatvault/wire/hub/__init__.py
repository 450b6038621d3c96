"""The hub: the neutral conversation that dialects are translated through, one reader and one writer a
dialect.

`conversation` is what is asked, `events` is what is answered (whole or streamed, through one mapping),
`finish` the table of reasons to stop, `dropped` the list of what the other side cannot carry.
"""
