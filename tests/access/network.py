"""A country with a network and two facilities, whose people invite, accept, leave and report."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE
from fhir_server.access.scope_filter import Unrestricted
from fhir_server.facilities.nodes import ORG_LEVEL
from tests.access.house import Caller, House, opened

Json = dict[str, Any]
ALL = "user/*.cruds"
MRN = "http://national.example/id"

PEOPLE = {
    "gov": ("land", "administrator"),
    "nina": ("net", "administrator"),
    "adda": ("alpha", "administrator"),
    "bert": ("beta", "administrator"),
    "both-net": ("net", "administrator"),
    "both-alpha": ("alpha", "administrator"),
    "doc-alpha": ("alpha", "doctor"),
    "doc-beta": ("beta", "doctor"),
}
"""PractitionerRole to where it is held and as what; the two of `both` are one person's."""


@asynccontextmanager
async def settled(data_dir: Path) -> AsyncIterator[House]:
    """Yield the house."""
    async with opened(data_dir) as house:
        for one in (
            organization("land", "", "sovereign"),
            organization("net", "land", "network"),
            organization("alpha", "land", "facility"),
            organization("beta", "land", "facility"),
        ):
            await put(house, "root", one)
        for name, (where, code) in PEOPLE.items():
            await put(house, where, role(name, where, code))
            if not name.startswith("both"):
                await house.add_staff(f"u-{name}", name)
        await house.add_staff("u-both", "both-net", "both-alpha")
        await put(house, "beta", patient("pb"))
        await _register(house)
        yield house


async def _register(house: House) -> None:
    for number in range(5):
        for side in ("alpha", "beta"):
            await put(house, side, patient(f"{side}-{number}", f"N{number}"))


async def unsettled(house: House) -> None:
    """Undo what tests of memberships do."""
    system = await house.as_("system/*.rs")
    for kind in ("Task", "Encounter", "OrganizationAffiliation"):
        for name in await system.found(kind):
            await house.service.repository.delete(kind, name.partition("/")[2])
    await put(house, "root", organization("alpha", "land", "facility"))
    await _register(house)


def organization(name: str, parent: str, level: str) -> Json:
    part = {"partOf": {"reference": f"Organization/{parent}"}} if parent else {}
    kind = {"coding": [{"system": ORG_LEVEL, "code": level}]}
    return {"resourceType": "Organization", "id": name, "active": True, "name": name, "type": [kind], **part}


def role(name: str, where: str, code: str) -> Json:
    system = HL7_ROLE if code == "doctor" else OWN_ROLE
    return {
        "resourceType": "PractitionerRole",
        "id": name,
        "active": True,
        "organization": {"reference": f"Organization/{where}"},
        "code": [{"coding": [{"system": system, "code": code}]}],
    }


def patient(name: str, number: str = "") -> Json:
    identifiers = {"identifier": [{"system": MRN, "value": number}]} if number else {}
    return {"resourceType": "Patient", "id": name, **identifiers}


def stay(name: str, of: str) -> Json:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "in-progress",
        "class": {"system": act, "code": "IMP"},
        "subject": {"reference": f"Patient/{of}"},
    }


async def put(house: House, facility: str, one: Json) -> None:
    repository = replace(house.service.repository, scope=Unrestricted("a test", facility))
    await repository.update(one["resourceType"], one["id"], one)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["extension"][0]["valueString"])


async def person(house: House, name: str, user: str = "") -> Caller:
    return await house.as_(ALL, user=user or f"u-{name}", role=name)


def parameters(**values: Any) -> Json:
    kinds = {bool: "valueBoolean", str: "valueCode", dict: "valueReference"}
    rows = [{"name": name, kinds[type(value)]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": rows}


def refer(organization: str) -> Json:
    return {"reference": f"Organization/{organization}"}


async def invited(house: House, facility: str, **agreement: Any) -> str:
    """Return the id of the membership that the network offers."""
    nina = await person(house, "nina")
    body = parameters(facility=refer(facility), **agreement)
    answer = await nina.ask("POST", "Organization/net/$invite", body)
    assert answer.status_code == 201, answer.text
    rows = {row["name"]: row["valueReference"]["reference"] for row in answer.json()["parameter"]}
    assert answer.headers["location"].endswith(rows["affiliation"])
    return str(rows["affiliation"].partition("/")[2])


async def joined(house: House, facility: str, by: str, **agreement: Any) -> str:
    """Return the id of a membership in force."""
    name = await invited(house, facility, **agreement)
    answer = await (await person(house, by)).ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert answer.status_code == 200, answer.text
    assert answer.json()["active"] is True
    return name
