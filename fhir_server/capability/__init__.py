"""What the server offers: one table that router, CapabilityStatement and OpenAPI are derived from."""
