"""From the differential of a profile to its snapshot (R4 StructureDefinition, "Snapshots and Differentials")."""
