"""US Core 7.0.0: each search that its server CapabilityStatement requires or recommends finds what a plain scan finds.

The data are the guide's own examples, with records of Synthea; a value that neither has is put into one of them. Each search
runs by GET and by POST, by code and `system|code`, by `123` and `Patient/123`, by dates with each comparator. What a parameter
reads is said by the SearchParameters of the guide, evaluated by `naive`; what matches, by `oracle`. The guide's parameters that
R4 does not have are added to the server as any deployment would.
"""

import asyncio
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.model import json
from fhir_server.settings import Jobs
from fhir_server.settings import Record as Rules
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from tests.search.instances import Nursery
from tests.search.loading import JSON, Resource, load, pages, synthea
from tests.search.naive import evaluate
from tests.search.oracle import MATCHES
from tests.search.saying import escaped
from tests.serving import alone, own

PACKAGE = "packages/hl7.fhir.us.core-7.0.0.tgz"
GUIDE = "http://hl7.org/fhir/us/core/SearchParameter/us-core-"
EXPECTED = {"SHALL", "SHOULD"}
BUNDLES = 3
FORMS = 5
TARGETS = 3
PATIENCE = 60.0

STATUS = "http://hl7.org/fhir/"
CODES = "http://hl7.org/fhir/CodeSystem/medicationrequest-"
SYSTEMS = {
    ("CarePlan", "status"): f"{STATUS}request-status",
    ("CareTeam", "status"): f"{STATUS}care-team-status",
    ("Device", "status"): f"{STATUS}device-status",
    ("DiagnosticReport", "status"): f"{STATUS}diagnostic-report-status",
    ("DocumentReference", "status"): f"{STATUS}document-reference-status",
    ("Encounter", "status"): f"{STATUS}encounter-status",
    ("Goal", "lifecycle-status"): f"{STATUS}goal-status",
    ("Immunization", "status"): f"{STATUS}event-status",
    ("MedicationDispense", "status"): "http://terminology.hl7.org/CodeSystem/medicationdispense-status",
    ("MedicationRequest", "status"): f"{CODES}status",
    ("MedicationRequest", "intent"): f"{CODES}intent",
    ("Observation", "status"): f"{STATUS}observation-status",
    ("Patient", "gender"): f"{STATUS}administrative-gender",
    ("Procedure", "status"): f"{STATUS}event-status",
    ("QuestionnaireResponse", "status"): f"{STATUS}questionnaire-answers-status",
    ("ServiceRequest", "status"): f"{STATUS}request-status",
}
"""Of elements that hold a bare code, the system that the code is from."""

SEARCHES: dict[str, str] = {
    # With a question mark: recommended (SHOULD), not required.
    "AllergyIntolerance": "patient patient+clinical-status?",
    "CarePlan": "patient+category patient+category+status? patient+category+date? patient+category+status+date?",
    "CareTeam": "patient+status patient+role? role?",
    "Condition": (
        "patient patient+category patient+category+clinical-status? patient+onset-date? patient+abatement-date? "
        "patient+clinical-status? patient+asserted-date? patient+code? patient+category+encounter? "
        "patient+_lastUpdated? patient+recorded-date?"
    ),
    "Coverage": "patient",
    "Device": "patient patient+status? patient+type?",
    "DiagnosticReport": (
        "patient patient+category patient+code patient+category+date patient+code+date? patient+status? "
        "patient+category+_lastUpdated?"
    ),
    "DocumentReference": (
        "_id patient patient+category patient+category+date patient+type patient+type+period? patient+status?"
    ),
    "Encounter": (
        "_id patient date+patient identifier? class+patient? patient+type? patient+_lastUpdated? patient+status? "
        "patient+location? patient+discharge-disposition?"
    ),
    "Goal": "patient patient+target-date? patient+lifecycle-status? patient+description?",
    "Immunization": "patient patient+date? patient+status?",
    "Location": "address name address-city? address-postalcode? address-state?",
    "MedicationDispense": "patient patient+status? patient+status+type?",
    "MedicationRequest": "patient+intent patient+intent+status patient+intent+encounter? patient+intent+authoredon?",
    "Observation": (
        "patient+category patient+code patient+category+date patient+code+date? patient+category+status? "
        "patient+category+_lastUpdated?"
    ),
    "Organization": "address name",
    "Patient": (
        "_id identifier name birthdate+name gender+name family+gender? birthdate+family? death-date+family?"
    ),
    "Practitioner": "identifier name _id?",
    "PractitionerRole": "practitioner specialty",
    "Procedure": "patient patient+date patient+code+date? patient+status?",
    "QuestionnaireResponse": "_id patient patient+questionnaire? patient+authored? patient+status?",
    "RelatedPerson": "_id name? patient? patient+name?",
    "ServiceRequest": (
        "_id patient patient+category patient+code patient+category+authored patient+code+authored? patient+status?"
    ),
    "Specimen": "_id patient?",
}  # fmt: skip
ALL = [(name, search.rstrip("?")) for name, text in SEARCHES.items() for search in text.split()]

pytestmark = pytest.mark.xdist_group("us-core")


@dataclass(frozen=True, slots=True)
class Record:
    """A server, what is in it by type, and the guide's parameters by type and code."""

    client: httpx.AsyncClient
    resources: dict[str, list[Resource]]
    parameters: dict[tuple[str, str], SearchParameter]


@pytest.fixture(scope="module")
def guide(test_data: Path) -> dict[str, Resource]:
    """Conformance resources and examples of the guide by file name."""
    found: dict[str, Resource] = {}
    with tarfile.open(test_data / PACKAGE) as archive:
        for member in archive:
            path = Path(member.name)
            wanted = path.parent.name == "example" or path.name.startswith(("SearchParameter-", "CapabilityStatement-"))
            file = archive.extractfile(member) if wanted and path.suffix == ".json" else None
            if file:
                found[path.name] = json.decode(file.read())
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(
    data_dir: Path, mongo_url: SecretStr, test_data: Path, guide: dict[str, Resource], definitions: Definitions
) -> AsyncIterator[Record]:
    settings = own(data_dir, "us_core", record=Rules(references="off"), jobs=Jobs(concurrency=2, reindex_share=1))
    async with alone(settings, working) as client:
        parameters = await added(client, guide, definitions)
        resources: dict[str, list[Resource]] = {name: [] for name in SEARCHES}
        for bundle in synthea(test_data, BUNDLES):
            for resource in await load(client, bundle):
                resources.setdefault(resource["resourceType"], []).append(resource)
        theirs = [
            one for name, one in guide.items() if not name.startswith(("SearchParameter-", "CapabilityStatement-"))
        ]
        for resource in [*theirs, *planted(theirs, resources, parameters, Nursery(definitions))]:
            resources.setdefault(resource["resourceType"], []).append(await put(client, resource))
        resources["Organization"].append((await client.get("Organization/root")).json())
        yield Record(client, resources, parameters)


async def added(
    client: httpx.AsyncClient, guide: dict[str, Resource], definitions: Definitions
) -> dict[tuple[str, str], SearchParameter]:
    """Return what each search of the guide reads; tell the server about the parameters that R4 does not have."""
    rows = {
        (base, row["code"]): row
        for name, row in guide.items()
        if name.startswith("SearchParameter-")
        for base in row["base"]
    }
    found: dict[tuple[str, str], SearchParameter] = {}
    for resource_type, search in ALL:
        for code in search.split("+"):
            known = definitions.search_parameters(resource_type)
            row = rows.get((resource_type, code))
            if row is None:
                found[resource_type, code] = known[code]
                continue
            if code not in known and (resource_type, code) not in found:
                answer = await client.post("SearchParameter", content=json.encode(row), headers=JSON)
                assert answer.status_code == 201, answer.text
                async with asyncio.timeout(PATIENCE):
                    asking = {f"{code}:missing": "true"}
                    while (answer := await client.get(resource_type, params=asking)).status_code != 200:
                        assert "transient" in answer.text, answer.text
                        await asyncio.sleep(0.05)
            targets = tuple(row.get("target", ()))
            expression = row["expression"].replace("url = '", "url='").replace("Resource.", f"{resource_type}.")
            found[resource_type, code] = SearchParameter(
                row["url"], code, row["type"], (resource_type,), expression, targets, (), ""
            )
    return found


def planted(
    own: list[Resource],
    resources: dict[str, list[Resource]],
    parameters: dict[tuple[str, str], SearchParameter],
    nursery: Nursery,
) -> Iterator[Resource]:
    """Yield for each search that nothing would be found by an instance that has all that it asks for."""
    for number, (resource_type, search) in enumerate(ALL):
        pool = [*resources[resource_type], *(one for one in own if one["resourceType"] == resource_type)]
        asked = [parameters[resource_type, code] for code in search.split("+") if code not in {"_id", "_lastUpdated"}]
        if any(all(values(parameter, resource) for parameter in asked) for resource in pool):
            continue
        grown: Resource | None = pool[-1] if pool else nursery.least(resource_type)
        for parameter in asked:
            if grown and not values(parameter, grown):
                grown = nursery.planted(grown, parameter)
        assert grown, (resource_type, search)
        yield {**grown, "id": f"planted-{number}"}


async def put(client: httpx.AsyncClient, resource: Resource) -> Resource:
    """Store a resource under its own id and return it as the server did."""
    url = f"{resource['resourceType']}/{resource['id']}"
    answer = await client.put(url, content=json.encode(resource), headers=JSON)
    assert answer.status_code in {200, 201}, (url, answer.text)
    return cast(Resource, json.decode(answer.content))


def values(parameter: SearchParameter, resource: Resource) -> list[Any]:
    """Return what a parameter reads of a resource."""
    return evaluate(parameter.expression, resource)


def kind(parameter: SearchParameter, value: Any) -> str:
    """Return how `oracle` matches a value."""
    if parameter.code == "_lastUpdated":
        return "instant"
    if parameter.type == "token" and not isinstance(value, dict):
        return "code"
    return "canonical" if parameter.type == "reference" and isinstance(value, str) else parameter.type


def selects(parameter: SearchParameter, resource: Resource, text: str) -> bool:
    """Return whether one criterion holds."""
    system = SYSTEMS.get((resource["resourceType"], parameter.code), "")
    now = datetime.now(UTC)
    return any(MATCHES[kind(parameter, value)](value, "", text, system, now) for value in values(parameter, resource))


def forms(parameter: SearchParameter, resource: Resource) -> list[str]:
    """Return the ways in which a client may ask for a resource by a parameter."""
    found: list[str] = []
    for value in values(parameter, resource):
        if parameter.type == "date":
            stated = value if isinstance(value, str) else value.get("start", value.get("end", "2020-01-01"))
            found += [f"ge{stated[:10]}", f"le{stated}", f"gt{stated[:10]}", f"lt{stated[:10]}T23:59:59Z", stated[:10]]
        elif parameter.type == "reference":
            text = value if isinstance(value, str) else value.get("reference", "")
            found += [text, text.rpartition("/")[2]] if not text.startswith("http") else [text]
        elif parameter.type == "string":
            text = value if isinstance(value, str) else value.get("family", value.get("city", ""))
            found += [escaped(text[:3].upper()), escaped(text)] if text else []
        elif isinstance(value, dict):
            for coded in value.get("coding", [value]):
                code, system = escaped(coded.get("code", coded.get("value", ""))), escaped(coded.get("system", ""))
                found += [code, f"{system}|{code}"] if code else []
        else:
            system = SYSTEMS.get((resource["resourceType"], parameter.code), "")
            found += [str(value), f"{system}|{value}"] if system else [str(value)]
    return found


@pytest.mark.parametrize(("resource_type", "search"), ALL)
async def test_finds_what_a_plain_scan_finds(record: Record, resource_type: str, search: str) -> None:
    asked = [record.parameters[resource_type, code] for code in search.split("+")]
    pool = record.resources[resource_type]
    targets = [one for one in pool if all(forms(parameter, one) for parameter in asked)]
    assert targets
    for target in [targets[0], targets[len(targets) // 2], targets[-1]][:TARGETS]:
        ways = [forms(parameter, target) for parameter in asked]
        for turn in range(min(FORMS, max(map(len, ways)))):
            pairs = [(one.code, way[turn % len(way)]) for one, way in zip(asked, ways, strict=True)]
            by_code = {parameter.code: parameter for parameter in asked}
            expected = {one["id"] for one in pool if all(selects(by_code[code], one, text) for code, text in pairs)}
            for post in (False, True):
                entries, _ = await pages(record.client, resource_type, [*pairs, ("_count", "200")], post=post)
                found = [entry["resource"]["id"] for entry in entries]
                assert set(found) == expected, (resource_type, pairs, set(found) ^ expected)
                assert len(found) == len(expected)


def test_these_are_the_searches_that_the_guide_states(guide: dict[str, Resource]) -> None:
    stated: set[tuple[str, frozenset[str], str]] = set()
    for row in guide["CapabilityStatement-us-core-server.json"]["rest"][0]["resource"]:
        for parameter in row.get("searchParam", []):
            stated.add((row["type"], frozenset([parameter["name"]]), expectation(parameter)))
        for extension in row.get("extension", []):
            if extension["url"].endswith("search-parameter-combination"):
                codes = frozenset(part["valueString"] for part in extension["extension"] if part["url"] == "required")
                stated.add((row["type"], codes, expectation(extension)))
    ours = {
        (name, frozenset(search.rstrip("?").split("+")), "SHOULD" if search.endswith("?") else "SHALL")
        for name, text in SEARCHES.items()
        for search in text.split()
    }
    assert ours == {one for one in stated if one[2] in EXPECTED}


def expectation(row: Resource) -> str:
    """Return SHALL, SHOULD or MAY."""
    return next(str(one["valueCode"]) for one in row["extension"] if one["url"].endswith("-expectation"))
