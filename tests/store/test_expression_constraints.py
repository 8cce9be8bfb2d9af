"""Expression constraints over a release in the database select what they select in memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.concepts import Concepts
from terminology.codesystem.provider import Filter
from terminology.codesystem.snomed import Snomed
from terminology.load.release import Release, Row
from tests.terminology.ecl import snomed

C = snomed.CODES
CONSTRAINTS = (
    "*",
    f"< {C['disease']}",
    f"<<! {C['disease']}",
    f"> {C['lung']}",
    f">! {C['lung']}",
    "!!< *",
    f"^ {snomed.REFSET}",
    f"* : {snomed.SITE} = << {C['heartpart']}",
    f"* : {snomed.SITE} != {C['heartpart']}",
    f"* : [2..*] {snomed.MORPHOLOGY} = *",
    f"* : {{ {snomed.SITE} = {C['lungpart']}, {snomed.MORPHOLOGY} = {C['fibrosis']} }}",
    f"* : {{ {snomed.SITE} = {C['lungpart']}, {snomed.MORPHOLOGY} = {C['infarct']} }}",
    f"<< {C['body']} : R {snomed.SITE} = {C['lung']}",
    f"< {C['disease']} . {snomed.SITE}",
    f"* : {snomed.STRENGTH} >= #10",
    '* {{ term = "hear att" }}',
    "* {{ C active = 0 }}",
    "* {{ C definitionStatus = defined }}",
    f"{C['attack']} {{{{ + HISTORY-MIN }}}}",
)


async def test_constraints_say_in_the_database_what_they_say_in_memory(database: AsyncDatabase[dict[str, Any]]) -> None:
    listed = snomed.release()
    concepts = await listed.concepts(list(await listed.everything()))

    def rows() -> Iterator[Row]:
        for one in concepts:
            yield Row(
                one.code, one.display, "", one.designations, one.properties,
                tuple(concepts[parent].code for parent in one.parents), one.inactive,
            )  # fmt: skip

    store = Concepts(database)
    loaded = await store.load(Release(replace(listed.head, count=len(concepts)), "digest", rows))
    stored, memory = Snomed(store.provider(loaded.row)), Snomed(listed)
    for text in CONSTRAINTS:
        rule = Filter("constraint", "=", text)
        found, wanted = await stored.select(rule), await memory.select(rule)
        assert {one.code for one in await stored.concepts(list(found))} == {
            one.code for one in await memory.concepts(list(wanted))
        }, text
    expression = await stored.find(f"{C['heart']}:{snomed.SITE}={C['valve']}")
    assert expression is not None
    assert await stored.holds(Filter("constraint", "=", f"< {C['disease']}"), expression)
