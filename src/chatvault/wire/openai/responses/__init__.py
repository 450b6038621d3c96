"""`openai.responses`, without state: what needs a stored response is for providers of this dialect only."""
