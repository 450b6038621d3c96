"""Counting tokens where no provider has: measured texts, a calibrated estimate, and real tokenizers where there are."""
