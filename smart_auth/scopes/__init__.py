"""SMART scopes: their grammar, which of them cover which, and what they say in plain words (SMART App Launch 2.2, 3)."""
