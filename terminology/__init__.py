"""Code systems and value sets. No web, no database."""
