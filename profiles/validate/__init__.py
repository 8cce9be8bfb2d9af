"""Base validation: what every resource passes before it is stored."""
