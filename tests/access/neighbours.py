"""Two facilities of a network, a third one outside, and what passes between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from fhir_server.facilities.agreement import Agreement, TreatmentAccess
from fhir_server.facilities.nodes import ROLE
from tests.access.house import Caller, House, Json, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import facility, put, role

PRIVACY = {"coding": [{"code": "patient-privacy"}]}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
REASON: Json = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "found unconscious"}]}


@asynccontextmanager
async def founded(data_dir: Path) -> AsyncIterator[House]:
    """Yield a house of two facilities of a network, and a third one, with their staff."""
    async with opened(data_dir) as house:
        for one in (
            facility("surgery"),
            facility("hospital"),
            facility("stranger"),
            resource("Organization", "net", name="Net"),
        ):
            await put(house, "", one)
        await put(house, "", resource("Practitioner", "gp", name=[{"family": "Gee"}]))
        for name, where, code in (
            ("gp", "surgery", "doctor"), ("gp-two", "surgery", "nurse"), ("desk", "surgery", "front-desk"),
            ("surgeon", "hospital", "doctor"), ("officer", "hospital", "privacy-officer"), ("other", "stranger", "doctor"),
        ):  # fmt: skip
            await put(house, where, role(name, where, code))
        await house.add_staff("u-gp", "gp", "gp-two", "desk")
        await house.add_staff("u-surgeon", "surgeon")
        await house.add_staff("u-officer", "officer")
        await house.add_staff("u-other", "other")
        yield house


async def admitted(house: House, name: str) -> str:
    """Return a patient of the hospital, with a finding and an account, where the agreement is for relationships."""
    await agree(house, "relationship")
    await put(house, "hospital", resource("Patient", name, name=[{"family": "Payne"}]))
    await put(house, "hospital", observation(f"{name}-lab", name))
    await house.add_patient(f"u-{name}", name)
    return name


async def agree(house: House, access: TreatmentAccess, *, emergency: bool = True, active: bool = True) -> None:
    """Have both facilities take part in the network, or leave it."""
    for member in ("surgery", "hospital"):
        agreement = Agreement(access, emergency=emergency).extension()
        affiliation = resource(
            "OrganizationAffiliation",
            f"net-{member}",
            active=active,
            organization=reference("Organization/net"),
            participatingOrganization=reference(f"Organization/{member}"),
            code=[{"coding": [{"system": ROLE, "code": "member"}]}],
            extension=[agreement],
        )
        await put(house, "", affiliation)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["extension"][0]["valueString"])


def purpose(event: Json) -> str:
    """Return the purpose of an AuditEvent."""
    return str(event.get("purposeOfEvent", [{"coding": [{"code": ""}]}])[0]["coding"][0]["code"])


async def reaches(caller: Caller, patient: str) -> bool:
    """Return whether a caller reaches the record by any way; all ways agree."""
    ways: list[bool] = [
        await caller.status(f"Patient/{patient}") == 200,
        await caller.status(f"Observation/{patient}-lab") == 200,
        await caller.status(f"Observation/{patient}-lab/_history/1") == 200,
        (await caller.get(f"Observation?patient={patient}&_total=accurate")).json()["total"] == 1,
        (await caller.get(f"Patient?_id={patient}&_summary=count")).json()["total"] == 1,
    ]
    assert len(set(ways)) == 1, ways
    return ways[0]


def request(patient: str, status: str = "active") -> Json:
    subject = reference(f"Patient/{patient}")
    performer = [reference("Organization/surgery")]
    return resource(
        "ServiceRequest", f"{patient}-sr", status=status, intent="order", subject=subject, performer=performer
    )


def task(patient: str, status: str) -> Json:
    focus = reference(f"ServiceRequest/{patient}-sr")
    owner = reference("Organization/surgery")
    subject = reference(f"Patient/{patient}")
    return resource("Task", f"{patient}-t", status=status, intent="order", focus=focus, owner=owner, **{"for": subject})


def parameters(**values: str) -> Json:
    kinds = {"status": "valueCode", "reason": "valueString"}
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kinds[name]: one} for name, one in values.items()],
    }


async def respond(caller: Caller, patient: str, status: str) -> httpx.Response:
    return await caller.ask("POST", f"Task/{patient}-t/$respond", parameters(status=status, reason="as asked"))


async def kept(caller: Caller, one: Json) -> Json:
    """Create a resource under an id that the server gives; return it."""
    answer = await caller.post({name: value for name, value in one.items() if name != "id"})
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def done(answer: httpx.Response) -> None:
    assert answer.status_code in {200, 201}, answer.text


def consent(patient: str, kind: str, *who: str, **more: Any) -> Json:
    recipient = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
    actors = [{"role": recipient, "reference": reference(one)} for one in who]
    provision = {"type": kind, **({"actor": actors} if actors else {}), **more.pop("provision", {})}
    category = [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]
    stated = {"status": "active", "scope": PRIVACY, "category": category, "policy": [{"uri": "http://example.org/p"}]}
    subject = reference(f"Patient/{patient}")
    return resource("Consent", f"{patient}-consent", **{**stated, "patient": subject, "provision": provision, **more})
