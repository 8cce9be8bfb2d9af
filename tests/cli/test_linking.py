"""Who a user is in the record."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fhir_server.cli.linking import Unlinkable, looked_up
from fhir_server.cli.posting import Poster
from fhir_server.main import running
from fhir_server.repository import Repository
from fhir_server.repository.linking import link
from fhir_server.settings import Settings
from smart_auth.records import Link
from tests.cli.family import FAMILY


@pytest_asyncio.fixture(loop_scope="session")
async def repository(settings: Settings) -> AsyncIterator[Repository]:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}} for one in FAMILY
    ]
    async with running(settings) as service:
        answer = await Poster(service).post({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status == 200, answer.resource
        yield service.repository


async def test_links_are_looked_up_and_completed(repository: Repository) -> None:
    own, first, second = Link("Patient/mia", "mia"), Link("RelatedPerson/r1", "kid1"), Link("RelatedPerson/r2", "kid2")
    doctor, day, night = Link("Practitioner/doc"), Link("PractitionerRole/day"), Link("PractitionerRole/night")
    for references, links, name, kind in (
        (["Patient/mia"], (own,), "Mia Lund", "patient"),
        (["Patient/mia", "RelatedPerson/r2"], (own, second), "Mia Lund", "patient"),
        (["Person/mia-lund"], (own, first, second), "Mia Lund", "patient"),
        (["Practitioner/doc"], (doctor, day, night), "Dr Ana Grey", "staff"),
        (["PractitionerRole/night"], (doctor, night), "Dr Ana Grey", "staff"),
        (["PractitionerRole/night", "Practitioner/doc"], (doctor, night, day), "Dr Ana Grey", "staff"),
        ([], (), "", "patient"),
    ):
        who = await looked_up(repository, references)
        assert (who.links, who.name, who.kind) == (links, name, kind)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("Patient/nobody", "There is no Patient/nobody in the record"),
        ("Organization/root", "is none of Patient"),
        ("Patient/../x", "is none of Patient"),
        ("mia", "is none of Patient"),
        ("PractitionerRole/gone", "is not active"),
        ("Patient/old", r"is not active: it was replaced by Patient/mia"),
    ],
)
async def test_nobody_signs_in_as_who_is_not_there_or_not_active(
    repository: Repository, reference: str, says: str
) -> None:
    with pytest.raises(Unlinkable, match=says):
        await looked_up(repository, [reference])


async def test_a_person_that_joins_patients_whom_nobody_has_confirmed_gives_nobody_another_record(
    repository: Repository,
) -> None:
    targets = [{"target": {"reference": f"Patient/{name}"}} for name in ("mia", "kid1")]
    await repository.update("Person", "made-up", {"resourceType": "Person", "id": "made-up", "link": targets})
    with pytest.raises(Unlinkable, match=r"joins Patient/mia with Patient/kid1, which nobody has confirmed"):
        await looked_up(repository, ["Person/made-up"])
    await link(repository, "mia", "kid1")
    who = await looked_up(repository, ["Person/made-up"])
    assert who.links == (Link("Patient/mia", "mia"), Link("Patient/kid1", "kid1"))
