"""Tells subscribers what happens: numbers events, delivers notifications in their order, and says how Subscriptions stand."""
