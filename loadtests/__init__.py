"""Measurements: `bench` beside raw baselines, and a mixed load for Locust."""
