"""The vocabulary: values and words that every other package speaks. Imports the standard library and msgspec
only.
"""
