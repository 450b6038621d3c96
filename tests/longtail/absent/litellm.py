"""What importing LiteLLM comes to where it is not installed."""

raise ImportError("No module named 'litellm'")
