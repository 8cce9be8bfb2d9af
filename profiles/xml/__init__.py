"""The XML form of resources (R4 2.6.1): bytes to the plain values that JSON gives, and back."""
