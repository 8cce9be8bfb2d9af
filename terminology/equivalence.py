"""How close a translation comes: R4 ConceptMapEquivalence, the relationships of R5, and what they are in the other direction.

R4 tells what the target is in relation to the source (`wider`: the target means more), R5 what the source is.
"""

from collections.abc import Mapping
from typing import Any

RELATED = "relatedto"
NONE = frozenset({"unmatched", "disjoint"})
"""Equivalences that say that there is no translation."""

RELATIONSHIPS: Mapping[str, str] = {
    "relatedto": "related-to",
    "equivalent": "equivalent",
    "equal": "equivalent",
    "wider": "source-is-narrower-than-target",
    "subsumes": "source-is-narrower-than-target",
    "narrower": "source-is-broader-than-target",
    "specializes": "source-is-broader-than-target",
    "inexact": "related-to",
    "disjoint": "not-related-to",
}
"""What R5 calls an equivalence; it has no word for `unmatched`."""

_EQUIVALENCES: Mapping[str, str] = {
    "related-to": "relatedto",
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "disjoint",
}
_TURNED: Mapping[str, str] = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


def stated(row: Mapping[str, Any], otherwise: str = RELATED) -> str:
    """Return the equivalence that a target of a concept map states, in the words of R4 or of R5."""
    equivalence = row.get("equivalence")
    if isinstance(equivalence, str) and equivalence:
        return equivalence
    return _EQUIVALENCES.get(str(row.get("relationship", "")), otherwise)


def turned(equivalence: str) -> str:
    """Return what the source is to the target, of what the target is to the source."""
    return _TURNED.get(equivalence, equivalence)
