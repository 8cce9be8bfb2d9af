"""OAuth 2.0 authorization server with SMART. Unaware of the house it serves."""
