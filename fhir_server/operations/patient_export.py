"""$export of what belongs to patients (Bulk Data Access: patient-level export)."""

from fhir_server.operations import exporting

OPERATION = exporting.operation("patient", "patient-export", "Patient", "what belongs to patients")
