"""Amazon Bedrock: its Converse API as a dialect that providers are asked in, and the framing of all its streams."""
