"""FHIRPath (https://hl7.org/fhirpath/N1, R4 2.9): expressions over FHIR resources. No web, no database."""
