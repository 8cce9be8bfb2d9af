"""Does a resource conform to a profile (R4 Profiling, StructureDefinition)."""
