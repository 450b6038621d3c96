"""The project's own benchmark: load, a stand-in provider, floors to compare with, and the report."""
