"""The functions of expressions, one room for each chapter of FHIRPath N1 (5) and one for what FHIR adds (R4 2.9.1.7)."""
