"""The indexes of a type, and that the searches we know walk hardly more keys than they return."""

import random
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from msgspec.structs import replace
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import ANYTHING, IndexSpec, Query, Where
from fhir_server.search.chosen import PRIMARY_CODES, PRIMARY_DATES
from fhir_server.search.compile import plan
from fhir_server.search.expression import Contains
from fhir_server.search.index import Indexer
from fhir_server.search.layout import indexes
from fhir_server.search.params import params
from fhir_server.search.parse import parse
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from tests.search.shelf import Shelf

Json = dict[str, Any]
Database = AsyncDatabase[Json]

OBSERVATIONS = 20_000
PATIENTS = 500
FACILITIES = 40
LOINC = "http://loinc.org"
CODES = ["8867-4", "8310-5", "9279-1", "8480-6", "29463-7", "2339-0", "718-7", "6690-2"]
RARE = "20447-9"
START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def records(mongo_url: SecretStr, definitions: Definitions) -> AsyncIterator[Database]:
    """20,000 observations and 500 patients in 40 facilities, stored and indexed as the server does."""
    # Open date bounds show up in explain as years that Python does not know.
    options: CodecOptions[Json] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
    client: AsyncMongoClient[Json] = AsyncMongoClient(mongo_url.get_secret_value())
    async with client:
        database = client.get_database(f"test_{uuid4().hex[:16]}", codec_options=options)
        chance = random.Random(42)
        indexer = Indexer(definitions)
        for resource_type, make, count in (
            ("Observation", _observation, OBSERVATIONS),
            ("Patient", _patient, PATIENTS),
        ):
            documents = [_document(number, make(number, chance), indexer) for number in range(count)]
            await database[resource_type].insert_many(documents)
            await _create(database, resource_type, indexes(resource_type, definitions))
        yield database
        await client.drop_database(database.name)


SEARCHES = [
    # (search, index, most keys examined for each entry of a page of 51)
    ("Observation?patient=Patient/7&code=http://loinc.org|8867-4", "patient_code_date", 1.0),
    ("Observation?subject=Patient/7&code=http://loinc.org|8867-4&date=ge2020-03", "patient_code_date long", 2.0),
    ("Observation?patient=Patient/7", "patient_date", 1.0),
    ("Observation?code=http://loinc.org|8867-4", "code_date", 1.0),
    ("Observation?code=http://loinc.org|20447-9", "code_date", 1.0),
    ("Observation?code=http://loinc.org|8867-4,http://loinc.org|8310-5", "code_date", 1.1),
    ("Observation?encounter=Encounter/7", "reference_date", 1.0),
    ("Observation?performer=Practitioner/3", "reference_date", 1.0),
    ("Observation", "date", 1.0),
    ("Observation?_sort=date", "date", 1.0),
    ("Observation?date=2020-05-03", "date", 1.5),
    ("Observation?_sort=-_lastUpdated", "updated", 1.0),
    ("Observation?_lastUpdated=ge2020-06-01&_sort=_lastUpdated", "updated", 1.0),
    ("Observation?identifier=urn:example:lab|order-77", "rest", 1.0),
    ("Observation?patient=Patient/7&code-value-quantity=http://loinc.org|8867-4$ge50", "patient_code_date", 1.0),
    ("Observation?code-value-quantity=http://loinc.org|8867-4$ge50", "code_date", 1.0),
    ("Observation?component-code=http://loinc.org|8462-4", "part_date", 1.0),
    ("Observation?component-code-value-quantity=http://loinc.org|8462-4$ge50", "part_date", 1.0),
    ("Observation?combo-code=http://loinc.org|8462-4", "", 1.0),
    ("Patient?family=muster1", "rest", 2.2),  # 111 match and are sorted
    ("Patient?_sort=family", "sort_family", 1.0),
    ("Patient?_sort=-family", "sort_family_down", 1.0),
    ("Patient?identifier=urn:example:mrn|m-7", "rest", 1.0),
    ("Patient?birthdate=1970", "date", 2.0),
]


@pytest.mark.parametrize(("search", "index", "most"), SEARCHES)
async def test_keys_examined(search: str, index: str, most: float, records: Database, definitions: Definitions) -> None:
    resource_type, _, query = search.partition("?")
    pairs = tuple(tuple(part.split("=", 1)) for part in query.split("&") if part)
    request = parse(resource_type, pairs, definitions, Search(), strict=True)  # type: ignore[arg-type]  # pairs of text
    page = plan(request, ANYTHING, None, definitions)
    documents, keys, fetched, used = await _explain(records, page)
    assert documents > 0
    assert not index or used == {*index.split()}
    # One key to find the end of each range, one for the end of a page.
    assert keys <= documents * most + 2, (keys, fetched, documents)
    assert fetched <= documents * most + 2


async def test_a_facility_subtree_is_filtered_inside_of_the_index(records: Database, definitions: Definitions) -> None:
    facilities = Where("clause", {"f": {"$in": [f"facility-{number}" for number in range(20)]}})
    for query, keys_per_entry in ((("code", f"{LOINC}|8867-4"),), 4.0), ((), 4.0):
        request = parse("Observation", query, definitions, Search(), strict=True)
        documents, keys, fetched, _ = await _explain(records, plan(request, facilities, None, definitions))
        assert documents == 51
        assert keys <= documents * keys_per_entry
        assert fetched == documents


async def test_keys_in_the_indexes_of_an_observation(records: Database, definitions: Definitions) -> None:
    """The cost of a write is linear in these: here eleven, one for each index and two for its further references."""
    keys = await _keys(records, "Observation")
    of_documents = {spec.name: keys[spec.name] / OBSERVATIONS for spec in indexes("Observation", definitions)}
    assert of_documents.pop("rest") < 1.1
    assert of_documents.pop("reference_date") == 3
    assert of_documents.pop("part_date") < 0.1, "only of what has components"
    none = ("patients_date", "long", "contained", "contained_rest", "apart_patient", "apart_subject")
    assert {of_documents.pop(name) for name in none} == {0}
    assert set(of_documents.values()) == {1}
    assert len(of_documents) == 6


async def test_scalar_fields_keep_the_indexes_from_becoming_multikey(records: Database) -> None:
    plans = await records.command(
        "explain", {"find": "Observation", "filter": {"p": "7"}, "hint": "patient_code_date"}, verbosity="queryPlanner"
    )
    stage = plans["queryPlanner"]["winningPlan"]["inputStage"]
    assert stage["multiKeyPaths"] == {"p": [], "s.code": ["s.code"], "d": [], "o": []}


def test_every_type_has_a_layout_that_mongodb_takes(definitions: Definitions) -> None:
    for resource_type in definitions.resource_types:
        specs = indexes(resource_type, definitions)
        names = [spec.name for spec in specs]
        known = params(resource_type, definitions)
        assert len(set(names)) == len(names) < 64
        assert ("date" in names) == (resource_type in PRIMARY_DATES)
        assert {"updated", "rest"} <= set(names)
        in_patient = resource_type in definitions.compartments["Patient"].members
        assert in_patient == any(name in {"patient_date", "patient_updated"} for name in names)
        for spec in specs:
            arrays = [
                field
                for field, _ in spec.keys
                if field in {"rf", "ps"} or (field.startswith("s.") and known[field.removeprefix("s.")].array)
            ]
            assert len(arrays) <= 1, (resource_type, spec.name)
        rest = specs[-1]
        assert rest.name == "rest"
        assert rest.keys == (("$**", 1),)
        assert all(
            known[field.removeprefix("s.").partition(":")[0]].stored for field in rest.options["wildcardProjection"]
        )


async def test_mongodb_creates_the_indexes_of_representative_types(
    database: Database, definitions: Definitions
) -> None:
    for resource_type in ("Appointment", "Binary", "Encounter", "Organization", "ValueSet"):
        specs = indexes(resource_type, definitions)
        await _create(database, resource_type, specs)
        assert set(await database[resource_type].index_information()) == {"_id_", *(spec.name for spec in specs)}


def _observation(number: int, chance: random.Random) -> Json:
    patient = chance.randrange(PATIENTS)
    code = RARE if number % 500 == 0 else chance.choice(CODES)
    resource: Json = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [{"system": "urn:example:category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{number // 10}"},
        "performer": [{"reference": f"Practitioner/{chance.randrange(100)}"}],
        "effectiveDateTime": (START + timedelta(seconds=chance.randrange(366 * 86_400))).isoformat(),
        "valueQuantity": {"value": chance.randrange(50, 200), "unit": "x", "code": "x", "system": "urn:example:unit"},
    }
    if number % 5 == 0:
        resource["identifier"] = [{"system": "urn:example:lab", "value": f"order-{number // 5}"}]
    if number % 100 == 0:
        codes = ("8480-6", "8462-4")
        pressure = {"value": chance.randrange(50, 200), "unit": "mmHg"}
        resource["component"] = [
            {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": pressure} for code in codes
        ]
    return resource


def _patient(number: int, chance: random.Random) -> Json:
    return {
        "resourceType": "Patient",
        "id": str(number),
        "identifier": [{"system": "urn:example:mrn", "value": f"m-{number}"}],
        "name": [{"family": f"Muster{number}", "given": [chance.choice(["Ada", "Åse", "Zoë"])]}],
        "birthDate": f"{1950 + number % 60}-01-{1 + number % 28:02d}",
    }


def _document(number: int, resource: Json, indexer: Indexer) -> Json:
    moment = START + timedelta(seconds=number * 60 * 60)
    facility = f"facility-{number % FACILITIES}"
    return {"_id": resource["id"], "lu": moment, "o": number, "f": facility, **indexer.entries(resource)}


async def _create(database: Database, resource_type: str, specs: tuple[IndexSpec, ...]) -> None:
    for spec in specs:
        await database[resource_type].create_index(list(spec.keys), name=spec.name, **spec.options)


async def _explain(database: Database, query: Query) -> tuple[int, int, int, set[str]]:
    """Return documents returned, keys examined, documents examined and the indexes used."""
    command: Json = {
        "find": query.resource_type,
        "filter": query.where.clause,
        "sort": dict(query.sort),
        "limit": query.limit,
    }
    if query.hint:
        command["hint"] = query.hint
    found = await database.command("explain", command, verbosity="executionStats")
    stats = found["executionStats"]
    used: set[str] = set()
    waiting = [found["queryPlanner"]["winningPlan"]]
    while waiting:
        stage = waiting.pop()
        used |= {stage["indexName"]} if "indexName" in stage else set()
        waiting += [stage["inputStage"]] if "inputStage" in stage else stage.get("inputStages", [])
    return stats["nReturned"], stats["totalKeysExamined"], stats["totalDocsExamined"], used


async def _keys(database: Database, resource_type: str) -> dict[str, int]:
    """Return the number of keys in each index."""
    found = await database.command("validate", resource_type)
    return {name: int(count) for name, count in found["keysPerIndex"].items()}


def test_the_documentation_names_every_index_and_every_primary_date(definitions: Definitions) -> None:
    page = (Path(__file__).parents[2] / "docs" / "search" / "indexes.md").read_text()
    for resource_type in definitions.resource_types:
        for spec in indexes(resource_type, definitions):
            assert f"`{spec.name.removesuffix('_down').replace('_updated', '_date')}`" in page
    for resource_type, code in (*PRIMARY_DATES.items(), *PRIMARY_CODES.items()):
        assert re.search(rf"^\| `{code}` \|.*\b{resource_type}\b", page, re.MULTILINE), resource_type


async def test_containers_are_found_by_what_they_contain(shelf: Shelf) -> None:
    def request(number: int) -> Json:
        code = {"coding": [{"system": "urn:codes", "code": str(number % 100)}]}
        inside = {"resourceType": "Medication", "id": "m", "code": code, "status": "active"}
        return {
            "resourceType": "MedicationRequest",
            "id": f"r{number}",
            **({"contained": [inside]} if number % 3 else {}),
        }

    await shelf.put(*(request(number) for number in range(1500)))
    for query, index, most in (
        ("", "contained", 51),
        ("status=active", "contained", 51),
        ("code=7", "contained_rest", 10),
    ):
        inside = Contains("Medication", shelf.request("Medication", query).expression)
        asked = replace(shelf.request("MedicationRequest", "_sort=-_lastUpdated"), expression=inside)
        (done,) = await shelf.store.examined(plan(asked, ANYTHING, None, shelf.definitions))
        assert (done.index, done.returned) == (index, most)
        assert max(done.keys, done.documents) <= most + 1
