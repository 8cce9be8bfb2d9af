"""Whether two descriptions are of one person: blocks to look in, evidence, weights and grades (product.md 9, docs/identity.md)."""
