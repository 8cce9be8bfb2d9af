"""$meta-add: give an instance more profiles, tags and security labels (R4 Resource-meta-add; docs/labels.md)."""

from fhir_server.model import labels
from fhir_server.operations.meta import changing

OPERATION = changing(
    "meta-add",
    labels.added,
    summary="Give an instance more profiles, tags and security labels",
    success="Parameters with the labels that it has then.",
)
"""The operation."""
