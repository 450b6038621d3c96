"""The long tail of providers, through the LiteLLM library: a small server of OpenAI's chat and embeddings, which runs
in a process of its own and never in a worker."""
