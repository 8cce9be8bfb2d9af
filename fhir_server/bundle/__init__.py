"""Batch and transaction bundles (R4 3.1.0.11)."""
