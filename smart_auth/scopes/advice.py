"""What a client that only advises may be granted at all: to read and search, and to create advice (closed list).

A reasoning service never changes the record. What it creates are proposals, which a human turns into an act, or not.
"""

from collections.abc import Iterable
from itertools import chain

from smart_auth.scopes.coverage import concise, meet
from smart_auth.scopes.grammar import ANY_TYPE, Context, ResourceScope

ADVICE = frozenset(
    {
        "CarePlan",
        "DetectedIssue",
        "GuidanceResponse",
        "MedicationRequest",
        "RequestGroup",
        "RiskAssessment",
        "ServiceRequest",
        "Task",
    }
)
"""Types that advice has."""

CONTEXTS: tuple[Context, ...] = ("patient", "user", "system")


def advising(scopes: Iterable[ResourceScope]) -> tuple[ResourceScope, ...]:
    """Return what is left of scopes for a client that only advises."""
    return limited(
        scopes,
        [ResourceScope(context, ANY_TYPE, "rs") for context in CONTEXTS]
        + [ResourceScope(context, name, "c") for context in CONTEXTS for name in sorted(ADVICE)],
    )


def of_types(scopes: Iterable[ResourceScope], types: Iterable[str]) -> tuple[ResourceScope, ...]:
    """Return what is left of scopes for a client that was registered for some types only."""
    return limited(scopes, [ResourceScope(context, name, "cruds") for context in CONTEXTS for name in types])


def narrowed(scopes: Iterable[ResourceScope], types: Iterable[str], *, advisory: bool) -> list[ResourceScope]:
    """Return what is left of scopes by the policy that a client is registered with.

    Args:
        scopes: What its scope names.
        types: Types that it is registered for; none for all.
        advisory: Whether it only advises.
    """
    left, named = [*scopes], [*types]
    if named:
        left = [*of_types(left, named)]
    return [*advising(left)] if advisory else left


def limited(scopes: Iterable[ResourceScope], limits: Iterable[ResourceScope]) -> tuple[ResourceScope, ...]:
    """Return what both of two sets of scopes reach."""
    bounds = [*limits]
    met = chain.from_iterable((meet(one, bound) for bound in bounds) for one in scopes)
    return concise(one for one in met if one)
