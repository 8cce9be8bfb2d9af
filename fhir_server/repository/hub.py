"""The Person that joins the Patients of one human: written by the server, kept by the deployment, with links and nothing else."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.model import ids, json
from fhir_server.repository.door import Repository
from fhir_server.repository.humans import Resource

TYPE = "Person"
ASSURANCE = "level3"
MOST = 10


async def join(bound: Repository, patients: tuple[str, str]) -> str:
    """Have one Person lead to two Patients, and return its id.

    It is the Person of the first Patient, else that of the second, else a new one.
    """
    own = _own(bound)
    for patient in patients:
        if found := await _of(own, patient):
            await own.patch(TYPE, found, lambda person: _with(person, patients))
            return found
    person = ids.new()
    resource = _with({"resourceType": TYPE, "active": True}, patients)
    await own.create(TYPE, person, resource)
    return person


async def part(bound: Repository, person: str, leaving: Collection[str]) -> None:
    """Have a Person no longer lead to some Patients; they get one of their own where they are several."""
    own = _own(bound)
    found = await own.matches(TYPE, (("_id", person),), 1)
    if found:
        await own.patch(TYPE, person, lambda resource: _without(resource, leaving))
    if len(leaving) > 1:
        await own.create(TYPE, ids.new(), _with({"resourceType": TYPE, "active": True}, sorted(leaving)))


def _own(bound: Repository) -> Repository:
    """Return the repository that writes the hub: of the deployment, whoever confirms."""
    scope = Unrestricted("the Person that joins Patients", bound.root)
    return replace(bound, scope=scope)


async def _of(own: Repository, patient: str) -> str:
    """Return the Person that leads to a Patient; of several the oldest, by id; empty where there is none."""
    unnoted = replace(own, footprint=None)
    found = await unnoted.matches(TYPE, (("patient", f"Patient/{patient}"),), MOST)
    return min((one.id for one in found if json.decode(one.body).get("active") is not False), default="")


def _with(person: Resource, patients: Collection[str]) -> Resource:
    links: list[Any] = [*person.get("link", [])]
    known = {_target(one) for one in links}
    new = [f"Patient/{one}" for one in patients if f"Patient/{one}" not in known]
    return {**person, "link": [*links, *({"target": {"reference": one}, "assurance": ASSURANCE} for one in new)]}


def _without(person: Resource, patients: Collection[str]) -> Resource:
    gone = {f"Patient/{one}" for one in patients}
    links = [one for one in person.get("link", []) if _target(one) not in gone]
    rest = {name: value for name, value in person.items() if name != "link"}
    return {**rest, "link": links} if links else rest


def _target(link: Resource) -> str:
    return str(link.get("target", {}).get("reference", "")).partition("/_history/")[0]
