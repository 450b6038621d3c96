"""`openai.chat`: chat completions, as OpenAI and the many providers that followed speak them."""
