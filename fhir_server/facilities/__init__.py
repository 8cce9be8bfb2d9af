"""The tree of organizations, and who shares what with whom: facility, network, region, sovereign (product.md 9)."""
