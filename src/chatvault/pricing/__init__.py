"""Prices as dated data with a source, and what a usage costs under them."""
