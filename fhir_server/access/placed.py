"""What staff and systems reach by where they stand, as one expression for each type and letter (product.md 2.2, 9).

| what | see | write |
|---|---|---|
| the directory, what publishers publish, the catalogue of supplies | all of it | what is in custody; what belongs to the deployment, by privilege |
| in custody of the facility, or of one below it | with clearance for its labels | the same |
| of another member of a network, by an agreement for the network | what has no label that restricts, of patients who do not object | no |
| of another member, by an agreement for relationships | of patients with a relationship who do not object, with clearance | no |
| of a patient for whom the glass was broken | all of it | no |
| a Task of another member whose owner is the facility: a referral to it, of a patient who does not object | the Task itself | by `$respond` |

Writing is for the custody only: what staff add for a patient of another facility is kept by their own.
"""

from fhir_server.access.privileges import DEFINITIONS, area_of
from fhir_server.access.scope_filter import Letter
from fhir_server.access.standing import Standing
from fhir_server.search.expression import (
    Anything,
    Cleared,
    Criterion,
    Expression,
    Guarded,
    Nothing,
    OfPatients,
    OwnedBy,
    all_of,
    any_of,
    none_of,
)
from fhir_server.search.params import params
from fhir_server.search.types.conditions import Is
from profiles.definitions.registry import Definitions

DIRECTORY = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "Endpoint"})
SUPPLIES = frozenset({"Medication", "Substance"})

OF_ALL = frozenset({"Practitioner", "OrganizationAffiliation"})
"""Types of the directory that belong to the deployment, not to a facility (docs/custodians.md)."""

ABOUT = {"Device": "patient", "Task": "patient"}
"""Types that R4 leaves out of the Patient compartment, with the parameter that says whom they are about."""

REFERRAL = "Task"
GUARDED = "Binary"


def placed(standing: Standing, resource_type: str, letter: Letter, definitions: Definitions) -> Expression:
    """Return what somebody of this standing reaches of a type."""
    area = area_of(resource_type, definitions)
    if not standing.privileges.allow(area, letter):
        return Nothing()
    if area == DEFINITIONS or resource_type in OF_ALL:
        return Anything()
    if letter in "rs" and resource_type in DIRECTORY | SUPPLIES:
        return Anything()
    own = all_of([_custody(standing, resource_type, definitions), _cleared(standing)])
    if resource_type == GUARDED:
        # With a context it is what that is; without one it is in custody as anything else.
        return any_of([Guarded(), all_of([Guarded(open=True), own])])
    return own if letter in "cud" else any_of([own, *_shared(standing, resource_type, definitions)])


def _custody(standing: Standing, resource_type: str, definitions: Definitions) -> Expression:
    custody = standing.custody
    if resource_type != "Organization" or not isinstance(custody, OwnedBy):
        return custody
    # An organization keeps itself; a new one below the own is what it is part of.
    wholes = tuple(Is(f"Organization/{one}") for one in sorted(custody.facilities))
    return any_of([custody, Criterion(params(resource_type, definitions)["partof"], wholes)])


def _cleared(standing: Standing) -> Expression:
    return Anything() if standing.privileges.unbounded else Cleared(standing.privileges.clearance)


def _shared(standing: Standing, resource_type: str, definitions: Definitions) -> list[Expression]:
    """Return what is reached of other facilities."""
    willing = none_of(_of(standing.objecting, resource_type, definitions))
    found: list[Expression] = []
    if standing.network:
        found.append(all_of([OwnedBy(standing.network), Cleared(frozenset()), willing]))
    members = standing.network | standing.related
    if members and standing.patients:
        theirs = _of(standing.patients, resource_type, definitions)
        found.append(all_of([OwnedBy(members), theirs, _cleared(standing), willing]))
    if members and resource_type == REFERRAL and standing.where:
        owners = tuple(Is(f"Organization/{one}") for one in sorted(standing.where.facilities))
        addressed = Criterion(params(REFERRAL, definitions)["owner"], owners)
        found.append(all_of([OwnedBy(members), addressed, _cleared(standing), willing]))
    if standing.glass:
        found.append(_of(frozenset(standing.glass), resource_type, definitions))
    return found


def _of(patients: frozenset[str], resource_type: str, definitions: Definitions) -> Expression:
    """Return what belongs to the records of patients; a Patient to its own only, not to those that it is linked to."""
    if not patients:
        return Nothing()
    if resource_type == "Patient":
        return Criterion(params("Patient", definitions)["_id"], tuple(Is(one) for one in sorted(patients)))
    if resource_type in ABOUT:
        whom = tuple(Is(f"Patient/{one}") for one in sorted(patients))
        return Criterion(params(resource_type, definitions)[ABOUT[resource_type]], whom)
    return OfPatients(patients)
