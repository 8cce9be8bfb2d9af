"""Base invariants in Python: key → whether an object meets it."""
