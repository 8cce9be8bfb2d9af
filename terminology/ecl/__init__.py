"""SNOMED CT's Expression Constraint Language 2.2 (https://docs.snomed.org/snomed-ct-specifications/snomed-ct-expression-constraint-language)."""
