"""What is said of an instance that is not there for the caller: nothing, or that breaking the glass would open it (product.md 2.5)."""

from fhir_server.access.privileges import CLINICAL
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.access.standing import Standing
from fhir_server.model.errors import FhirError, Forbidden, NotFound
from fhir_server.store import Store
from profiles.issue import Issue

AVAILABLE = "break-glass-available"


async def absence(store: Store, scope: ScopeFilter, resource_type: str, resource_id: str) -> FhirError:
    """Return the error for what is not there as far as the caller may see.

    Args:
        store: The record.
        scope: What the caller may reach.
        resource_type: Type.
        resource_id: Logical id.
    """
    standing = scope.standing
    if resource_type == "Patient" and standing.reveals and may_break(scope):
        keeper = (await store.keepers("Patient", [resource_id])).get(resource_id)
        if keeper and opens(standing, keeper.custodian):
            text = (
                f"Patient/{resource_id} is kept by another facility, and there is no relationship with this one. In an emergency "
                f"POST Patient/{resource_id}/$break-glass, with a reason, opens the record."
            )
            return Forbidden(text, issues=[Issue("error", "forbidden", text, "", AVAILABLE)])
    return NotFound(f"There is no {resource_type}/{resource_id}.")


def may_break(scope: ScopeFilter) -> bool:
    """Return whether the caller is somebody who can break the glass: staff who treat patients in a role."""
    who = scope.principal
    treats = scope.standing.privileges.allow(CLINICAL, "r")
    return who.audience == "staff" and who.acting_as.startswith("PractitionerRole/") and treats


def opens(standing: Standing, custodian: str) -> bool:
    """Return whether breaking the glass opens records that a facility keeps."""
    allowed = standing.where.emergency if standing.where else frozenset[str]()
    return custodian in allowed or standing.keeps(custodian)
