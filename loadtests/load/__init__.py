"""Load tests with Locust: what the public FHIR server benchmark does, a storm of bookings, and an export in the background."""
