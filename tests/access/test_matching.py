"""Patient/$match shows nobody whom the caller may not see, neither by name nor by number."""

from collections.abc import Callable
from typing import Any

from tests.access.house import House, assert_forbidden

MATCH = "Patient/$match"
BO = {"resourceType": "Patient", "name": [{"family": "bo"}]}


async def found(house: House, scope: str, body: Any, **who: str) -> list[str]:
    answer = await (await house.as_(scope, **who)).ask("POST", MATCH, body)
    assert answer.status_code == 200, answer.text
    return [one["resource"]["id"] for one in answer.json().get("entry", [])]


async def test_a_patient_matching_somebody_else_learns_nothing(house: House, fresh: Callable[[str], str]) -> None:
    own = f"bo-{fresh('mrn')}"
    hidden: dict[str, Any] = {**BO, "id": fresh("hidden"), "identifier": [{"system": "urn:example:mrn", "value": own}]}
    await house.service.repository.update("Patient", hidden["id"], hidden)
    asked = {"resourceType": "Patient", "identifier": hidden["identifier"]}
    assert await found(house, "user/Patient.rs", asked, user="u-doc") == [hidden["id"]]
    assert await found(house, "patient/Patient.rs", asked, patient="ann") == []
    with_count = await (await house.as_("patient/Patient.rs", patient="ann")).ask("POST", MATCH, asked)
    assert with_count.json()["total"] == 0


async def test_a_scope_with_criteria_bounds_what_is_matched(house: House) -> None:
    everybody = await found(house, "user/Patient.rs", BO, user="u-doc")
    assert "bo" not in await found(house, "user/Patient.rs?_id=ann", BO, user="u-doc")
    assert everybody == sorted(everybody)


async def test_matching_needs_to_search_and_to_read(house: House) -> None:
    searcher = await house.as_("user/Patient.s", user="u-doc")
    assert_forbidden(await searcher.ask("POST", MATCH, BO), "user/Patient.rs")
    reader = await house.as_("user/Patient.r", user="u-doc")
    assert_forbidden(await reader.ask("POST", MATCH, BO), "user/Patient.rs")
    other = await house.as_("user/Observation.rs", user="u-doc")
    assert (await other.ask("POST", MATCH, BO)).status_code == 403


async def test_the_trail_names_whom_a_match_showed_and_not_whom_it_compared(
    house: House, fresh: Callable[[str], str]
) -> None:
    born, family = "1931-02-03", fresh("Shown")
    shown = {"resourceType": "Patient", "id": fresh("shown"), "name": [{"family": family}], "birthDate": born}
    compared = {"resourceType": "Patient", "id": fresh("other"), "name": [{"family": "Zyx"}], "birthDate": born}
    for one in (shown, compared):
        await house.service.repository.update("Patient", str(one["id"]), one)
    asked = {name: value for name, value in shown.items() if name != "id"}
    assert await found(house, "user/Patient.rs", asked, user="u-doc") == [shown["id"]]
    (row,) = await house.service.store.trail.find({"k": "$match", "p": shown["id"]}, 2)
    assert row["e"] == [f"Patient/{shown['id']}/_history/1"]
    assert await house.service.store.trail.find({"k": "$match", "ps": compared["id"]}, 2) == []
