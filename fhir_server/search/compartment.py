"""Compartments as expressions (R4 2.26.8, CompartmentDefinition)."""

from fhir_server.search.expression import Criterion, Expression, InCompartment, Nothing, any_of
from fhir_server.search.params import params
from fhir_server.search.types.conditions import Is
from profiles.definitions.registry import Definitions

SELF = "{def}"


def compartment(code: str, instance: str, resource_type: str, definitions: Definitions) -> Expression:
    """Return which resources of a type belong to a compartment; `Nothing` where the type is not part of it.

    Args:
        code: Type that the compartment is about: Patient, Encounter, RelatedPerson, Practitioner or Device.
        instance: Logical id of the instance that it is about.
        resource_type: Type of the resources asked for.
        definitions: Compartment definitions and search parameters.
    """
    own = resource_type == code
    members = definitions.compartments[code].members.get(resource_type, ())
    if not members and not own:
        return Nothing()
    if code == "Patient":
        return InCompartment(instance)
    known = params(resource_type, definitions)
    target = Is(f"{code}/{instance}")
    found = [
        Criterion(known[member], (target,))
        for member in members
        if member in known and known[member].type == "reference"
    ]
    return any_of([*found, *([Criterion(known["_id"], (Is(instance),))] if own else [])])
