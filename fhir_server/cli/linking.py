"""Who a user is in the record: the links that an administrator names are looked up, and completed with those that belong to them.

A Person stands for everybody that it joins, of several Patients only for those that are confirmed to be one person
(docs/identity.md); a Practitioner brings the roles that are held now, among which one is chosen at sign-in; a RelatedPerson says
for whom it acts.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhir_server.model import ids, json
from smart_auth.records import Link, PersonKind

if TYPE_CHECKING:
    from fhir_server.repository import Repository

MOST_ROLES = 100
STAFF = frozenset({"Practitioner", "PractitionerRole"})
KNOWN = STAFF | {"Patient", "RelatedPerson", "Person"}

Resource = dict[str, Any]


class Unlinkable(Exception):
    """A link that leads to nobody who can sign in. The text says what to change."""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody in the record.

    Attributes:
        links: Who this is, the own record first.
        name: What the record calls this person, empty where it says nothing.
    """

    links: tuple[Link, ...] = ()
    name: str = ""

    @property
    def kind(self) -> PersonKind:
        """What kind of user this is."""
        return "staff" if any(link.reference.partition("/")[0] in STAFF for link in self.links) else "patient"


async def looked_up(repository: "Repository", references: Sequence[str]) -> Who:
    """Return who is meant by references such as `Patient/123`.

    Raises:
        Unlinkable: One of them is not there, or nobody can sign in as it.
        FhirError: The record cannot be read.
    """
    links: dict[str, Link] = {}
    name = ""
    for reference in references:
        async for found, resource in _completed(repository, reference):
            links[found.reference] = found
            name = name or _name(resource)
    return Who(tuple(links.values()), name)


async def _completed(repository: "Repository", reference: str) -> AsyncIterator[tuple[Link, Resource]]:
    resource = await _read(repository, reference)
    kind = resource["resourceType"]
    if kind == "Person":
        targets = [one.get("target", {}).get("reference", "") for one in resource.get("link", [])]
        await _require_one(repository, reference, targets)
        for target in targets:
            if target.partition("/")[0] in KNOWN - {"Person"}:
                async for found in _completed(repository, target):
                    yield found
    elif kind == "Practitioner":
        yield Link(reference), resource
        async for role in _roles(repository, reference):
            yield Link(f"PractitionerRole/{role['id']}"), role
    elif kind == "PractitionerRole":
        practitioner = resource.get("practitioner", {}).get("reference", "")
        if practitioner.startswith("Practitioner/"):
            yield Link(practitioner), await _read(repository, practitioner)
        yield Link(reference), resource
    else:
        yield Link(reference, _patient(resource)), resource


async def _require_one(repository: "Repository", person: str, targets: Sequence[str]) -> None:
    """Refuse a Person whose Patients nobody has confirmed to be one: whoever may write a Person may write that.

    Raises:
        Unlinkable: Some are not.
    """
    from fhir_server.access.links import linked

    patients = [target.removeprefix("Patient/") for target in targets if target.startswith("Patient/")]
    same = await linked(repository.store, frozenset(patients[:1]))
    apart = [f"Patient/{one}" for one in patients if one not in same]
    if apart:
        raise Unlinkable(
            f"{person} joins Patient/{patients[0]} with {', '.join(apart)}, which nobody has confirmed to be the same person. "
            "Confirm it with $link, or name those that are meant."
        )


async def _read(repository: "Repository", reference: str) -> Resource:
    from fhir_server.model.errors import Gone, NotFound

    kind, _, resource_id = reference.partition("/")
    if kind not in KNOWN or not ids.valid(resource_id):
        raise Unlinkable(f"'{reference}' is none of {', '.join(sorted(KNOWN))}, written as Patient/123.")
    try:
        stored = await repository.read(kind, resource_id)
    except (NotFound, Gone):
        raise Unlinkable(f"There is no {reference} in the record. Create it first.") from None
    resource: Resource = json.decode(stored.body)
    if resource.get("active") is False:
        raise Unlinkable(f"{reference} is not active{_successor(resource)}.")
    return resource


async def _roles(repository: "Repository", practitioner: str) -> AsyncIterator[Resource]:
    """Yield the roles that are held now, in the order of their ids."""
    query = (("practitioner", practitioner), ("active", "true"))
    found = await repository.matches("PractitionerRole", query, MOST_ROLES)
    for stored in sorted(found, key=lambda one: one.id):
        yield json.decode(stored.body)


def _patient(resource: Resource) -> str:
    """Return the id of the patient that a Patient or RelatedPerson stands for."""
    if resource["resourceType"] == "Patient":
        return str(resource["id"])
    patient = str(resource.get("patient", {}).get("reference", ""))
    if not patient.startswith("Patient/"):
        raise Unlinkable(f"RelatedPerson/{resource['id']} does not say for which patient of this record it acts.")
    return patient.removeprefix("Patient/").partition("/")[0]


def _successor(resource: Resource) -> str:
    links = (one for one in resource.get("link", []) if one.get("type") == "replaced-by")
    other = next((one.get("other", {}).get("reference", "") for one in links), "")
    return f": it was replaced by {other}" if other else ""


def _name(resource: Resource) -> str:
    names = resource.get("name", [])
    used = next((name for name in names if name.get("use") == "official"), names[0] if names else {})
    text = used.get("text") or " ".join((*used.get("prefix", []), *used.get("given", []), used.get("family", "")))
    return " ".join(str(text).split())
