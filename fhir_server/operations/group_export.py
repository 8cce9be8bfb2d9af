"""$export of what belongs to the members of a Group (Bulk Data Access: group-level export)."""

from fhir_server.operations import exporting

OPERATION = exporting.operation("group", "group-export", "Group", "what belongs to the members of a Group")
