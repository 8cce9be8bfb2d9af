"""$export of everything that the grant reaches (Bulk Data Access: system-level export)."""

from fhir_server.operations import exporting

OPERATION = exporting.operation("system", "export", "Resource", "everything")
