"""Which findings a definition that others have published may have, and be stored all the same (docs/decisions/published-defects.md).

Most guides have small defects that their users live with: a code that is newer than R4, an invariant that nobody checked. What
is not forgiven is JSON that has not the form of its type, for nobody could read it, and a narrative that may do harm.
"""

from profiles.issue import Issue

FORM = frozenset(
    {
        "array-empty",
        "array-expected",
        "array-not-expected",
        "choice",
        "content-missing",
        "contained-duplicate",
        "contained-id",
        "maximum",
        "not-an-object",
        "null",
        "null-in-array",
        "object-empty",
        "object-expected",
        "primitive-kind",
        "resource-id",
        "sibling-length",
        "too-deep",
        "type-abstract",
        "type-mismatch",
        "type-missing",
        "type-unknown",
        "unknown-property",
    }
)
"""Message ids of findings about the form."""

NARRATIVE = "narrative-"
WHOLE = frozenset({"minimum", "primitive", "empty-string"})
"""Findings that are forgiven but where the server itself works by the definition."""
WORKING = frozenset({"SearchParameter"})
"""Types of definitions that the server works by."""


def forgivable(issue: Issue, resource_type: str) -> bool:
    """Return whether a published definition of a type may have a finding and be stored."""
    if issue.message_id in FORM or issue.message_id.startswith(NARRATIVE):
        return False
    return resource_type not in WORKING or issue.message_id not in WHOLE
