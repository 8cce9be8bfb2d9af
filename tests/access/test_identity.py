"""One human with a record at each of two facilities: what a confirmed link opens, who can make one, and what undoes it."""

from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import sha256
from pathlib import Path

import bson
import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.store.client import connect
from tests.access.house import ADMINISTRATOR, Caller, House, Json, named, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import LEVEL, put, role

CLINICAL = ("Observation", "Condition")


def organization(name: str, level: str, part_of: str = "") -> Json:
    kind = [{"coding": [{"system": LEVEL, "code": level}]}]
    more = {"partOf": reference(f"Organization/{part_of}")} if part_of else {}
    return resource("Organization", name, active=True, name=name.title(), type=kind, **more)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        await put(house, "", organization("north", "region"))
        for one in ("east", "west"):
            await put(house, "", organization(one, "facility", "north"))
        await put(house, "", resource("Practitioner", "grey", name=[{"family": "Grey"}]))
        for where, code in (
            ("east", "front-desk"),
            ("west", "front-desk"),
            ("north", "front-desk"),
            ("north", "billing"),
            ("north", "privacy-officer"),
        ):
            await put(house, where, role(f"{where}-{code}", where, code))
        await house.add_staff(
            "grey", "east-front-desk", "west-front-desk", "north-front-desk", "north-billing", "north-privacy-officer"
        )
        yield house


class Human:
    """Somebody with a record and a sign-in at each of two facilities."""

    def __init__(self, house: House, east: str, west: str) -> None:
        self.house, self.east, self.west = house, east, west

    async def sees(self, patient: str, scope: str = "patient/*.rs") -> list[str]:
        """Return what the sign-in for one of the records finds."""
        caller = await self.house.as_(scope, patient=patient)
        found = [one for kind in (*CLINICAL, "Patient") for one in await caller.found(f"{kind}?_count=2")]
        return sorted(found)

    def of(self, patient: str) -> list[str]:
        return [f"Condition/{patient}-illness", f"Observation/{patient}-lab", f"Patient/{patient}"]

    async def staff(self, where: str = "north-front-desk", scope: str = "user/Patient.rus") -> Caller:
        return await self.house.as_(scope, user="grey", role=where)

    def request(self) -> tuple[str, Json]:
        rows = [{"name": "other", "valueReference": reference(f"Patient/{self.west}")}]
        return f"Patient/{self.east}", {"resourceType": "Parameters", "parameter": rows}

    async def link(self, by: Caller, operation: str = "$link") -> httpx.Response:
        path, body = self.request()
        return await by.ask("POST", f"{path}/{operation}", body)

    async def merge(self, by: Caller) -> httpx.Response:
        rows = [
            {"name": "source-patient", "valueReference": reference(f"Patient/{self.east}")},
            {"name": "target-patient", "valueReference": reference(f"Patient/{self.west}")},
        ]
        return await by.ask("POST", "Patient/$merge", {"resourceType": "Parameters", "parameter": rows})


async def registered(house: House, fresh: Callable[[str], str], east: str = "east", west: str = "west") -> Human:
    human = Human(house, fresh("e"), fresh("w"))
    for where, patient in ((east, human.east), (west, human.west)):
        subject = reference(f"Patient/{patient}")
        await put(house, where, resource("Patient", patient, name=[{"family": "Ashby"}]))
        await put(house, where, observation(f"{patient}-lab", patient))
        await put(
            house,
            where,
            resource(
                "Condition",
                f"{patient}-illness",
                subject=subject,
                clinicalStatus={
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
                },
            ),
        )
        await house.add_patient(f"u-{patient}", patient)
    return human


@pytest_asyncio.fixture(loop_scope="session")
async def human(house: House, fresh: Callable[[str], str]) -> Human:
    return await registered(house, fresh)


async def census(house: House, mongo_url: SecretStr) -> Mapping[str, str]:
    """Return the hash of every stored document but those of Patient and Person."""
    found = {}
    async with connect(mongo_url, house.service.settings) as client:
        record = client[house.service.settings.mongo.database]
        for name in await record.list_collection_names():
            if name[0].isupper() and name.partition("_")[0] not in {"Patient", "Person"}:
                async for row in record[name].find({}):
                    found[f"{name}/{row['_id']}"] = sha256(bson.encode(row)).hexdigest()
    return found


async def test_HI_12_one_human_in_two_facilities_before_with_and_after_a_link(
    house: House, human: Human, mongo_url: SecretStr
) -> None:
    both = sorted([*human.of(human.east), *human.of(human.west)])
    apart = {one: human.of(one) for one in (human.east, human.west)}
    before = await census(house, mongo_url)
    assert {one: await human.sees(one) for one in apart} == apart, "two sign-ins, two records"

    registrar = await human.staff()
    answer = await human.link(registrar)
    assert answer.status_code == 200, answer.text
    for one in apart:
        assert await human.sees(one) == both, "one sign-in shows both, with the token of before"
        assert await human.sees(one, "user/*.rs") == both
    assert await census(house, mongo_url) == before

    caller = await house.as_("patient/*.rs", patient=human.east)
    assert await caller.status(f"Observation/{human.west}-lab") == 200
    undone = await human.link(registrar, "$unlink")
    assert undone.status_code == 200, undone.text
    assert {one: await human.sees(one) for one in apart} == apart, "both views are what they were"
    assert await caller.status(f"Observation/{human.west}-lab") == 404
    assert await census(house, mongo_url) == before

    (count,) = [row["valueUnsignedInt"] for row in undone.json()["parameter"] if row["name"] == "seen-count"]
    rows = await house.service.store.trail.find({"k": "read", "e": {"$regex": f"^Observation/{human.west}-lab/"}}, 10)
    (row,) = [row for row in rows if row["st"] == 200]
    assert (row["u"], row["p"], row["au"]) == (f"u-{human.east}", human.west, "patient"), "the trail says who saw what"
    assert count >= 13
    (linked,) = await house.service.store.trail.find({"k": "$link", "ps": human.east}, 10)
    assert (linked["u"], linked["x"]["other"], set(linked["ps"])) == (
        "grey",
        f"Patient/{human.west}",
        {human.east, human.west},
    )
    assert {one.partition("/")[0] for one in linked["e"]} == {"Patient", "Person"}


async def test_who_looked_meanwhile_is_told_to_whom_the_trail_is_for(house: House, human: Human) -> None:
    admin = await house.as_("user/Patient.u", user=ADMINISTRATOR)
    assert (await human.link(admin)).status_code == 200
    await human.sees(human.east)
    told = (await human.link(admin, "$unlink")).json()["parameter"]
    seen = [row["part"] for row in told if row["name"] == "seen"]
    assert {part["valueString"] for row in seen for part in row if part["name"] == "user"} == {f"u-{human.east}"}
    shown = {part["valueReference"]["reference"] for row in seen for part in row if part["name"] == "patient"}
    assert shown == {f"Patient/{human.east}", f"Patient/{human.west}"}
    (url,) = [row["valueUrl"] for row in told if row["name"] == "trail"]
    events = await (await house.as_("system/AuditEvent.rs")).found(url)
    assert len(events) >= len(seen), "the trail has all of it, and the link and its end"

    registrar = await human.staff()
    await human.link(registrar)
    told = (await human.link(registrar, "$unlink")).json()["parameter"]
    assert "seen" not in {row["name"] for row in told}, "the front desk does not read the trail"
    assert "seen-count" in {row["name"] for row in told}


async def test_a_privacy_officer_ends_a_wrong_link_and_reads_who_looked_meanwhile(house: House, human: Human) -> None:
    assert (await human.link(await human.staff())).status_code == 200
    await human.sees(human.east)
    officer = await human.staff("north-privacy-officer")
    answer = await human.link(officer, "$unlink")
    assert answer.status_code == 200, answer.text
    assert "seen" in {row["name"] for row in answer.json()["parameter"]}
    assert await human.sees(human.east) == human.of(human.east)


async def test_a_link_that_an_app_writes_by_itself_opens_nothing(house: House, human: Human) -> None:
    """Self-made link: the patient's app, or one of the staff of one side, puts `Patient.link`."""
    desk = await human.staff("north-front-desk")
    patient = (await desk.get(f"Patient/{human.east}")).json()
    link = [{"other": reference(f"Patient/{human.west}"), "type": "seealso"}]
    mine = await house.as_("patient/Patient.cruds", patient=human.east)
    assert (await mine.put({**patient, "link": link})).status_code == 422, "the other one is nobody that she can see"
    assert (await desk.put({**patient, "link": link})).status_code == 200
    for kind in ("replaces", "refer"):
        assert (await desk.put({**patient, "link": [{**link[0], "type": kind}]})).status_code == 200
        assert await human.sees(human.east) == human.of(human.east)
        assert await human.sees(human.west) == human.of(human.west)


async def test_a_person_that_an_app_writes_by_itself_opens_nothing(human: Human) -> None:
    targets = [{"target": reference(f"Patient/{one}")} for one in (human.east, human.west)]
    desk = await human.staff(scope="user/*.cruds")
    assert (await desk.ask("POST", "Person", {"resourceType": "Person", "link": targets})).status_code == 201
    assert await human.sees(human.east) == human.of(human.east)


@pytest.mark.parametrize("where", ["east-front-desk", "west-front-desk"])
async def test_a_link_by_someone_who_sees_only_one_side_is_refused_as_if_the_other_was_never_there(
    house: House, human: Human, where: str
) -> None:
    desk = await human.staff(where)
    for operation in ("$link", "$unlink"):
        assert (await human.link(desk, operation)).status_code == 404
    assert (await human.merge(desk)).status_code == 404
    answer = await human.link(desk)
    never = await Human(
        house, *("never" if (one[0] == "w") == where.startswith("east") else one for one in (human.east, human.west))
    ).link(desk)
    assert answer.text.replace(human.west if where.startswith("east") else human.east, "never") == never.text
    assert await human.sees(human.east) == human.of(human.east)


@pytest.mark.parametrize("operation", ["$link", "$unlink"])
async def test_a_program_or_a_patient_does_not_confirm(house: House, human: Human, operation: str) -> None:
    for caller in (
        await house.as_("system/*.cruds"),
        await house.as_("user/*.cruds", user=f"u-{human.east}"),
        await house.as_("patient/*.cruds", patient=human.east),
    ):
        answer = await human.link(caller, operation)
        assert answer.status_code == 403
        assert answer.json()["issue"][0]["extension"][0]["valueString"] == "human-confirmation-required"
        assert (await human.merge(caller)).status_code == 403
        assert (await caller.ask("POST", f"Patient/{human.east}/$unmerge")).status_code == 403


async def test_a_role_without_that_duty_or_a_token_without_the_scope_does_not_link(house: House, human: Human) -> None:
    billing = await human.staff("north-billing", "user/*.cruds")
    assert (await human.link(billing)).status_code == 403
    reader = await human.staff(scope="user/Patient.rs")
    assert (await human.link(reader)).status_code == 403
    for scope in ("user/Patient.rs", "user/Organization.cruds", "user/Patient.u?_id=x"):
        admin = await house.as_(scope, user=ADMINISTRATOR)
        assert (await human.link(admin)).status_code == 403
    assert await human.sees(human.east) == human.of(human.east)


async def test_an_unlink_by_another_is_refused(house: House, human: Human) -> None:
    assert (await human.link(await human.staff())).status_code == 200
    for where in ("east-front-desk", "west-front-desk"):
        assert (await human.link(await human.staff(where), "$unlink")).status_code in {403, 404}
    patient = await house.as_("user/*.cruds", user=f"u-{human.east}")
    assert (await human.link(patient, "$unlink")).status_code == 403
    assert len(await human.sees(human.east)) == 6


async def test_an_update_does_not_end_a_confirmed_link(house: House, human: Human) -> None:
    assert (await human.link(await human.staff())).status_code == 200
    desk = await human.staff("east-front-desk")
    patient = (await desk.get(f"Patient/{human.east}")).json()
    patient.pop("link")
    assert (await desk.put(patient)).status_code in {409, 422}
    assert len(await human.sees(human.east)) == 6


async def test_patients_are_not_merged_across_facilities(house: House, human: Human) -> None:
    answer = await human.merge(await human.staff())
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["extension"][0]["valueString"] == "merge-across-facilities"
    assert await human.sees(human.east) == human.of(human.east)


async def test_a_merged_duplicate_is_followed_and_unmerged_by_nobody_of_another_facility(
    house: House, fresh: Callable[[str], str], mongo_url: SecretStr
) -> None:
    human = await registered(house, fresh, "east", "east")
    before = await census(house, mongo_url)
    desk = await human.staff("east-front-desk")
    assert (await human.merge(desk)).status_code == 200
    assert await census(house, mongo_url) == before
    assert await human.sees(human.west) == sorted([*human.of(human.east), *human.of(human.west)])
    other = await human.staff("west-front-desk")
    assert (await other.ask("POST", f"Patient/{human.east}/$unmerge")).status_code == 404
    assert len(await human.sees(human.west)) == 6
    assert (await desk.ask("POST", f"Patient/{human.east}/$unmerge")).status_code == 200
    assert await human.sees(human.west) == human.of(human.west)
    assert named((await desk.get(f"Patient/{human.east}")).json()) == f"Patient/{human.east}"


async def test_staff_of_one_facility_do_not_see_the_other_record_because_somebody_linked_it(
    house: House, human: Human
) -> None:
    assert (await human.link(await human.staff())).status_code == 200
    desk = await human.staff("east-front-desk", "user/*.rs")
    assert await desk.status(f"Patient/{human.east}") == 200
    assert await desk.status(f"Patient/{human.west}") == 404
    assert await desk.found(f"Patient?_id={human.east},{human.west}") == [f"Patient/{human.east}"]


async def test_the_match_queue_is_for_registrars_of_that_organization(house: House) -> None:
    path = "Organization/north/$match-queue"
    for where, status in (("north-front-desk", 202), ("north-billing", 403), ("east-front-desk", 403)):
        caller = await house.as_("user/*.cruds", user="grey", role=where)
        assert (await caller.ask("POST", path)).status_code == status
        assert (await caller.get(path)).status_code == (200 if status == 202 else status)
    for caller in (await house.as_("system/*.cruds"), await house.as_("user/*.cruds", user="u-ann")):
        assert (await caller.ask("POST", path)).status_code == 403
