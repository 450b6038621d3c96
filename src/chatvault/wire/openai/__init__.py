"""The OpenAI dialects, each in four parts: request, reply, stream, errors."""
