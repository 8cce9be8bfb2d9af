"""Who may see what, as an expression that the repository joins to every query."""
