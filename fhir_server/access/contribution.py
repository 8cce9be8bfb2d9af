"""What patients may write of the types that the care team works in: what they have said themselves, and nothing else (product.md 3).

Of a type with a patient gate (`search.gates`) a patient or proxy creates only contributions of the own, and changes or deletes only
those: the version that is stored has to be one, and the version that comes to be as well. Nobody can thus take a result over by
writing oneself into it, nor leave a contribution as if a clinician had written it. Other types are as their scopes say.
"""

from collections.abc import Mapping
from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.model.errors import Forbidden
from fhir_server.search import gates
from profiles.issue import Issue

DENIED = "patient-write-not-allowed"

GATED = frozenset(gates.STATUSES) | frozenset(gates.INTENTS) | gates.WORKING
"""Types with a patient gate of their own."""


def applies(who: Principal) -> bool:
    """Return whether a caller writes own contributions only."""
    return who.audience == "patient"


def require(who: Principal, resource_type: str, resource: Mapping[str, Any]) -> None:
    """Refuse a patient or proxy to write over, or to come to write, what the patient has not said.

    Args:
        who: Who writes.
        resource_type: Type.
        resource: The version that is stored, or the one that would be; one that the caller may see.

    Raises:
        Forbidden: `patient-write-not-allowed`.
    """
    if not applies(who) or resource_type not in GATED or _is_own(resource_type, resource):
        return
    authors = gates.AUTHORS.get(resource_type, ())
    if not authors:
        text = f"Patients and their proxies do not write a {resource_type}: that is for the care team. Ask them to change it."
        raise Forbidden(text, issues=[Issue("error", "forbidden", text, resource_type, DENIED)])
    text = (
        f"Patients and their proxies write a {resource_type} only where they have said all of it: {' or '.join(authors)} has to "
        "name the patient whom it is about, or a RelatedPerson, and nobody else, before a change and after it. What the care "
        "team has written, ask them to change; what you have to add, create as your own."
    )
    raise Forbidden(text, issues=[Issue("error", "forbidden", text, f"{resource_type}.{authors[0]}", DENIED)])


def _is_own(resource_type: str, resource: Mapping[str, Any]) -> bool:
    # An author without a literal reference (a name, an identifier) is somebody else, of whom gates know nothing.
    return gates.is_own(resource) and all(
        "reference" in author for name in gates.AUTHORS[resource_type] for author in _each(resource.get(name, ()))
    )


def _each(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping) else value
