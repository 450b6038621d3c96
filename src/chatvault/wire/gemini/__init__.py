"""`gemini.generate`: Gemini's generateContent and streamGenerateContent, of the Gemini API and of Vertex AI
(https://ai.google.dev/api/generate-content, seen 2026-11).
"""
