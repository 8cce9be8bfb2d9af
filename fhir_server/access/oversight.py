"""Who may read the audit trail of others (product.md 11).

Patients see who looked at their own records, systems what their scopes say, administrators of the house and privacy officers see
the trail of what they are responsible for. Other staff do not, whatever the scopes of their apps; not even in a practice where
nobody has a role and everybody may otherwise do everything.
"""

from fhir_server.access.principal import Principal
from fhir_server.access.standing import Standing

DUTY = "audit"


def may_read_trail(who: Principal, standing: Standing) -> bool:
    """Return whether somebody may read more of the trail than what concerns the own record."""
    if who.audience == "staff":
        return not standing.privileges.unbounded and standing.privileges.has_duty(DUTY)
    return who.audience != "patient"
