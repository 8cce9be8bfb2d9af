"""Who may look into the rules themselves: administrators of the house, and staff whose role answers for privacy.

And who looks after terminology, which is the work of administrators.
"""

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model.errors import Forbidden

AUDIT, NETWORK = "audit", "network"
"""Duties of a role (`access.privileges`)."""


def is_officer(scope: ScopeFilter) -> bool:
    """Return whether the caller may see the effective policy, and why who may see what."""
    match scope.principal.audience:
        case "administrator" | "server":
            return True
        case "staff":
            return scope.has_duty(AUDIT)
    return False


def require_officer(scope: ScopeFilter) -> None:
    """Refuse everybody else.

    Raises:
        Forbidden: The caller is neither.
    """
    if not is_officer(scope):
        raise Forbidden("This is for administrators, and for staff in the role of a privacy officer.")


def require_curator(scope: ScopeFilter) -> None:
    """Refuse whoever does not look after terminology: all but administrators, of the house or of a facility.

    Raises:
        Forbidden: It is somebody else.
    """
    match scope.principal.audience:
        case "administrator" | "server":
            return
        case "staff" if scope.has_duty(NETWORK):
            return
    raise Forbidden("This is for administrators. Sign in as one, or in a role of one.")
