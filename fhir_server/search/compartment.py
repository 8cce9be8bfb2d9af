"""Compartments as expressions (R4 2.26.8, CompartmentDefinition)."""

from dataclasses import dataclass

from fhir_server.search.expression import Criterion, Expression, InCompartment, Nothing, any_of
from fhir_server.search.params import params
from fhir_server.search.types.conditions import Is
from profiles.definitions.registry import Definitions

SELF = "{def}"


@dataclass(frozen=True, slots=True)
class Compartment:
    """One compartment: the type that it is about, and the id of the instance."""

    code: str
    id: str

    def __str__(self) -> str:
        return f"{self.code}/{self.id}"


def members(code: str, definitions: Definitions) -> tuple[str, ...]:
    """Return the types that a compartment may hold, in the order of their names; its own type is among them."""
    held = definitions.compartments[code].members
    return tuple(sorted({code, *(name for name, rows in held.items() if rows)} & definitions.resource_types))


def compartment(code: str, instance: str, resource_type: str, definitions: Definitions) -> Expression:
    """Return which resources of a type belong to a compartment; `Nothing` where the type is not part of it.

    Args:
        code: Type that the compartment is about: Patient, Encounter, RelatedPerson, Practitioner or Device.
        instance: Logical id of the instance that it is about.
        resource_type: Type of the resources asked for.
        definitions: Compartment definitions and search parameters.
    """
    own = resource_type == code
    links = definitions.compartments[code].members.get(resource_type, ())
    if not links and not own:
        return Nothing()
    if code == "Patient":
        return InCompartment(instance)
    known = params(resource_type, definitions)
    target = Is(f"{code}/{instance}")
    found = [Criterion(known[link], (target,)) for link in links if link in known and known[link].type == "reference"]
    return any_of([*found, *([Criterion(known["_id"], (Is(instance),))] if own else [])])
