"""Who speaks for an Organization: people whose role has the duty `network` at it or above it, and administrators of the house."""

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.facilities.tree import Tree
from fhir_server.model.errors import Forbidden
from profiles.issue import Issue

DUTY = "network"


def speaks_for(scope: ScopeFilter, tree: Tree, organization: str, duty: str = DUTY) -> bool:
    """Return whether a caller speaks for an Organization, in matters of a duty. Programs and patients speak for none."""
    match scope.principal.audience:
        case "server" | "administrator":
            return True
        case "staff" if scope.has_duty(duty):
            place = scope.facility or tree.root
            return place == tree.root or organization in tree.below(place)
        case _:
            return False


def is_sovereign(scope: ScopeFilter, tree: Tree, organization: str) -> bool:
    """Return whether a caller speaks for the sovereign that an Organization stands under, or for the whole deployment."""
    tops = [one for one in (*tree.above(organization), tree.root) if one == tree.root or tree.level(one) == "sovereign"]
    return any(speaks_for(scope, tree, one) for one in tops)


def refusal(code: str, text: str) -> Forbidden:
    """Return a refusal with its stable code."""
    return Forbidden(text, issues=[Issue("error", "forbidden", text, message_id=code)])


def refuse_strangers(scope: ScopeFilter, tree: Tree, *organizations: str) -> None:
    """Refuse who speaks for none of some Organizations.

    Raises:
        Forbidden: It is such a caller.
    """
    if not any(speaks_for(scope, tree, one) for one in organizations):
        named = " or ".join(f"Organization/{one}" for one in organizations)
        raise refusal(
            "not-a-side",
            f"This is for administrators of {named}, or of what that is part of. Sign in with such a role.",
        )
