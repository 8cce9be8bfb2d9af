"""Packages to compiled definitions, and the look-ups over them."""
