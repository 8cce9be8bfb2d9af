"""$meta-delete: take profiles, tags and security labels from an instance (R4 Resource-meta-delete; docs/labels.md)."""

from fhir_server.model import labels
from fhir_server.operations.meta import changing

OPERATION = changing(
    "meta-delete",
    labels.removed,
    summary="Take profiles, tags and security labels from an instance",
    success="Parameters with the labels that are left.",
)
"""The operation."""
