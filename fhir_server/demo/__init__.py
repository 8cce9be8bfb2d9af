"""The synthetic country that `fhir-server demo` loads: pure, deterministic data."""
