"""What a FHIR type is: definitions, validation. No web, no database."""
