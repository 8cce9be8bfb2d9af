"""Aquifer: a FHIR R4 server on MongoDB."""
