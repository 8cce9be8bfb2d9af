"""FHIR packages: implementation guides as they are published (FHIR NPM Package Specification)."""
