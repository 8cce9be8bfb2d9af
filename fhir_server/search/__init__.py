"""Search: expression, index entries and query plans, as plain data (R4 3.1.1)."""
