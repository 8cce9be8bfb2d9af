"""Search parameters that a deployment adds: entered with their resource, complete for what was there, gone with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.settings import Settings
from fhir_server.store.client import connect
from tests.effort import within
from tests.repository.conftest import added, complete, found, parameter, put, said
from tests.serving import serving

Fresh = Callable[[str], str]

COLOUR = "http://example.org/fhir/colour"


def coloured(colour: str) -> dict[str, Any]:
    return {"extension": [{"url": COLOUR, "valueCode": colour}]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def another(own_settings: Settings, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Another server on the same record, one that does no background work."""
    async with serving(own_settings) as another:
        yield another


async def test_finds_what_was_there_before_and_what_comes_after(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code, before, after, red = fresh("colour"), fresh("b"), fresh("a"), fresh("red")
    await put(client, "Patient", before, **coloured(red))
    version = (await client.get(f"Patient/{before}")).content
    await added(client, parameter(code, f"Patient.extension('{COLOUR}').value"))
    await put(client, "Patient", after, **coloured(red))
    assert await found(client, f"Patient?{code}={red}") == [f"Patient/{after}", f"Patient/{before}"]
    assert await found(client, f"Patient?{code}={red}&_id={before}") == [f"Patient/{before}"]
    assert await found(client, f"Patient?{code}:not={red}&_id={before}") == []
    assert (await client.get(f"Patient/{before}")).content == version, "indexing makes no version"
    await put(client, "Patient", before, **coloured("blue"))
    assert await found(client, f"Patient?{code}={red}") == [f"Patient/{after}"]


@pytest.mark.parametrize(
    ("kind", "expression", "element", "matching", "other"),
    [
        ("string", "Patient.contact.name.family", {"contact": [{"name": {"family": "Łukasz"}}]}, "luka", "abc"),
        ("date", "Patient.address.period", {"address": [{"period": {"start": "2020-03-01"}}]}, "ge2020", "lt2020"),
        ("number", "Patient.multipleBirth", {"multipleBirthInteger": 3}, "3", "4"),
        (
            "reference",
            "Patient.contact.organization",
            {"contact": [{"organization": {"reference": "Organization/root"}}]},
            "Organization/root",
            "Organization/x",
        ),
        ("uri", "Patient.implicitRules", {"implicitRules": "http://example.org/r"}, "http://example.org/r", "urn:x"),
        (
            "quantity",
            "Patient.extension.value.ofType(Quantity)",
            {"extension": [{"url": "http://x", "valueQuantity": {"value": 5, "unit": "kg"}}]},
            "5",
            "6",
        ),
    ],
)
async def test_works_for_each_type_of_parameter(
    client: httpx.AsyncClient,
    fresh: Fresh,
    kind: str,
    expression: str,
    element: dict[str, Any],
    matching: str,
    other: str,
) -> None:
    code, before, after = fresh("code"), fresh("b"), fresh("a")
    await put(client, "Patient", before, **element)
    await added(client, parameter(code, expression, kind))
    await put(client, "Patient", after, **element)
    both = [f"Patient/{after}", f"Patient/{before}"]
    assert await found(client, f"Patient?_id={before},{after}&{code}={matching}") == both
    assert await found(client, f"Patient?_id={before},{after}&{code}={other}") == []
    assert await found(client, f"Patient?_id={before},{after}&{code}:missing=false") == both


async def test_an_expression_that_is_more_than_a_path_works_as_well(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code, before, after = fresh("born"), fresh("b"), fresh("a")
    old, new = fresh("Old"), fresh("New")
    names = [{"family": old, "period": {"end": "2002"}}, {"family": new}]
    await put(client, "Patient", before, name=names)
    await added(client, parameter(code, "Patient.name.where(period.end.empty()).family", "string"))
    await put(client, "Patient", after, name=names)
    both = [f"Patient/{after}", f"Patient/{before}"]
    assert await found(client, f"Patient?{code}={new}") == both
    assert await found(client, f"Patient?{code}={old}") == []


@pytest.mark.parametrize(
    "expression",
    [
        "(Patient.name.family.select('x' & $this)).where($this.matches('(x+x+)+y'))",
        "(1).repeat($this + 1).toString()",
        "Patient.name.select(" + "%resource.name.select(" * 6 + "family" + ")" * 7 + ".toString()",
    ],
)
async def test_an_expression_made_to_take_long_delays_no_write(
    client: httpx.AsyncClient, fresh: Fresh, expression: str
) -> None:
    code, patient = fresh("slow"), fresh("p")
    await added(client, parameter(code, expression, "string"))
    with within(2):
        await put(client, "Patient", patient, name=[{"family": "x" * 2_000, "given": ["y"] * 20}] * 50)
    assert await found(client, f"Patient?_id={patient}&{code}=x") == []
    gone = {**parameter(code, expression, "string"), "id": code, "status": "retired"}
    there = (await client.get(f"SearchParameter?url={gone['url']}")).json()["entry"][0]["resource"]["id"]
    assert (await client.put(f"SearchParameter/{there}", json={**gone, "id": there})).status_code == 200


async def test_sorts_includes_and_is_stated(client: httpx.AsyncClient, fresh: Fresh) -> None:
    rank, keeper = fresh("rank"), fresh("keeper")
    low, high, org = fresh("low"), fresh("high"), fresh("org")
    await put(client, "Organization", org, name="Keeper")
    held = {"contact": [{"organization": {"reference": f"Organization/{org}"}}]}
    await put(client, "Patient", low, multipleBirthInteger=1, **held)
    await put(client, "Patient", high, multipleBirthInteger=2, **held)
    await added(client, parameter(rank, "Patient.multipleBirth", "number"))
    await added(client, parameter(keeper, "Patient.contact.organization", "reference", target=["Organization"]))
    entries = (await client.get(f"Patient?{keeper}={org}&_sort=-{rank}")).json()["entry"]
    assert [entry["resource"]["id"] for entry in entries] == [high, low]
    assert f"Organization/{org}" in await found(client, f"Patient?_id={low}&_include=Patient:{keeper}")
    assert f"Patient/{low}" in await found(client, f"Organization?_id={org}&_revinclude=Patient:{keeper}")
    stated = (await client.get("metadata")).json()["rest"][0]["resource"]
    (patient,) = (row for row in stated if row["type"] == "Patient")
    assert {"name": rank, "type": "number"}.items() <= next(
        row for row in patient["searchParam"] if row["name"] == rank
    ).items()
    assert f"Patient:{keeper}" in patient["searchInclude"]
    (organization,) = (row for row in stated if row["type"] == "Organization")
    assert f"Patient:{keeper}" in organization["searchRevInclude"]


async def test_works_in_chains(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code, patient, observation = fresh("colour"), fresh("p"), fresh("o")
    await put(client, "Patient", patient, **coloured("green"))
    subject = {"reference": f"Patient/{patient}"}
    await put(client, "Observation", observation, status="final", code={"text": "x"}, subject=subject)
    await added(client, parameter(code, f"Patient.extension('{COLOUR}').value"))
    assert await found(client, f"Observation?subject:Patient.{code}=green") == [f"Observation/{observation}"]


async def test_another_server_knows_it_before_it_needs_it(
    client: httpx.AsyncClient, another: httpx.AsyncClient, fresh: Fresh
) -> None:
    """It writes entries from the moment the parameter is building, and searches by it as soon as it is active."""
    code, here, there = fresh("colour"), fresh("h"), fresh("t")
    await put(another, "Patient", there, **coloured("black"))
    await added(client, parameter(code, f"Patient.extension('{COLOUR}').value"))
    await put(another, "Patient", there, **coloured("white"))
    await put(client, "Patient", here, **coloured("white"))
    both = [f"Patient/{here}", f"Patient/{there}"]
    assert await found(another, f"Patient?{code}=white") == both
    assert await found(client, f"Patient?{code}=white") == both
    again = await put(another, "Patient", there, **coloured("grey"))
    assert again.json()["id"] == there
    assert await found(another, f"Patient?{code}=white") == [f"Patient/{here}"]


async def test_writers_miss_nothing_while_it_is_built(
    client: httpx.AsyncClient, another: httpx.AsyncClient, fresh: Fresh
) -> None:
    """Patients written by two servers without pause, before, while and after the parameter is made, are all found."""
    code, prefix = fresh("colour"), fresh("w")
    ending = asyncio.Event()

    async def write(server: httpx.AsyncClient, name: str) -> list[str]:
        written: list[str] = []
        while not ending.is_set():
            resource_id = f"{prefix}-{name}{len(written)}"
            await put(server, "Patient", resource_id, **coloured(prefix))
            await put(server, "Patient", f"{prefix}-{name}", **coloured(f"{prefix}-{name}{len(written)}"))
            written.append(resource_id)
        return written

    writers = [asyncio.create_task(write(server, name)) for server, name in ((client, "x"), (another, "y"))]
    await asyncio.sleep(0.3)
    await added(client, parameter(code, f"Patient.extension('{COLOUR}').value"))
    await asyncio.sleep(0.1)
    ending.set()
    written = [one for writer in writers for one in await writer]
    assert len(written) > 4
    assert await found(another, f"Patient?{code}={prefix}&_count=1000") == sorted(f"Patient/{one}" for one in written)
    last = (await client.get(f"Patient/{prefix}-x")).json()["extension"][0]["valueCode"]
    assert await found(client, f"Patient?{code}={last}") == [f"Patient/{prefix}-x"]


async def test_it_goes_with_its_resource(client: httpx.AsyncClient, another: httpx.AsyncClient, fresh: Fresh) -> None:
    code, patient = fresh("colour"), fresh("p")
    await put(client, "Patient", patient, **coloured("red"))
    body = parameter(code, f"Patient.extension('{COLOUR}').value")
    parameter_id = await added(client, body)
    assert await found(another, f"Patient?{code}=red&_id={patient}") == [f"Patient/{patient}"]
    retired = await client.put(
        f"SearchParameter/{parameter_id}", json={**body, "id": parameter_id, "status": "retired"}
    )
    assert retired.status_code == 200
    for server in (another, client):
        response = await server.get(f"Patient?{code}=red")
        assert response.status_code == 400
        assert f"no search parameter '{code}'" in said(response)
    await put(client, "SearchParameter", parameter_id, **body)
    await complete(client, "Patient", code)
    assert await found(another, f"Patient?{code}=red&_id={patient}") == [f"Patient/{patient}"]
    assert (await client.delete(f"SearchParameter/{parameter_id}")).status_code in {200, 204}
    assert (await another.get(f"Patient?{code}=red")).status_code == 400


async def test_a_change_of_what_it_selects_is_indexed_anew(
    client: httpx.AsyncClient, another: httpx.AsyncClient, fresh: Fresh
) -> None:
    code, patient = fresh("note"), fresh("p")
    await put(client, "Patient", patient, name=[{"text": "old"}], contact=[{"name": {"text": "new"}}])
    body = parameter(code, "Patient.name.text", "string")
    parameter_id = await added(client, body)
    assert await found(another, f"Patient?{code}=old") == [f"Patient/{patient}"]
    await put(client, "SearchParameter", parameter_id, **{**body, "expression": "Patient.contact.name.text"})
    await complete(another, "Patient", code)
    assert await found(another, f"Patient?{code}=new") == [f"Patient/{patient}"]
    assert await found(client, f"Patient?{code}=old") == []


async def test_a_change_that_selects_the_same_changes_nothing(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code = fresh("note")
    body = parameter(code, "Patient.name.text", "string")
    parameter_id = await added(client, body)
    await put(client, "SearchParameter", parameter_id, **{**body, "description": "Said better."})
    assert (await client.get(f"Patient?{code}=x")).status_code == 200
    stated = (await client.get("metadata")).json()["rest"][0]["resource"]
    (patient,) = (row for row in stated if row["type"] == "Patient")
    (row,) = (row for row in patient["searchParam"] if row["name"] == code)
    assert row["documentation"] == "Said better."


@pytest.mark.parametrize(
    ("change", "text", "where"),
    [
        (
            {"expression": "Patient.name.where(use = 'x' and text = 'y')"},
            "selects HumanName, which a token parameter cannot search",
            "type",
        ),
        ({"expression": "Patient.nickname"}, "has no element 'nickname'", "expression"),
        ({"expression": "Patient.birthDate < today()"}, "today() is another moment each time", "expression"),
        ({"expression": "Observation.code"}, "selects nothing of a Patient", "base"),
        ({"expression": "Patient.birthDate"}, "selects date, which a token parameter cannot search", "type"),
        ({"expression": "Patient.meta.lastUpdated", "type": "date"}, "Search by _lastUpdated instead", "expression"),
        ({"code": "family"}, "has a search parameter 'family' already", "code"),
        ({"code": "_mine"}, "names that begin with '_'", "code"),
        ({"code": "a.b"}, "cannot be the name", "code"),
        ({"type": "special"}, "type 'special' cannot be added", "type"),
        ({"xpathUsage": "phonetic"}, "'phonetic' is not supported", "xpathUsage"),
        ({"expression": f"{'(' * 300}Patient.name{')' * 300}"}, "parentheses", "expression"),
        ({"expression": f"Patient{'.extension.value' * 6}"}, "may be of 50 types", "expression"),
        ({"expression": "Patient.name" + ".where(true)" * 300}, "line 1", "expression"),
        ({"expression": "Patient.name.where(" + "a." * 20_000 + "b)"}, "longer than 4000 characters", "expression"),
        ({"expression": "Patient.name.family.where($this.matches('(?=a)')"}, "line 1", "expression"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_taken_is_refused_at_once(
    client: httpx.AsyncClient, fresh: Fresh, change: dict[str, Any], text: str, where: str
) -> None:
    body = {**parameter(fresh("refused"), "Patient.name.use"), **change}
    response = await client.post("SearchParameter", json=body)
    assert response.status_code == 422, response.text
    assert text in said(response)
    assert response.json()["issue"][0]["expression"] == [f"SearchParameter.{where}"]
    assert await found(client, f"SearchParameter?url={body['url']}") == []
    draft = await client.post("SearchParameter", json={**body, "status": "draft"})
    assert draft.status_code == 201, "what is not active is stored as it is"


async def test_all_reasons_are_said_at_once_and_located_in_a_bundle(client: httpx.AsyncClient, fresh: Fresh) -> None:
    body = parameter("bad.code", "Patient.name.use", xpathUsage="other", type="special")
    rows = [{"resource": body, "request": {"method": "POST", "url": "SearchParameter"}}]
    response = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": rows})
    assert response.status_code == 422
    assert [issue["expression"][0] for issue in response.json()["issue"]] == [
        f"Bundle.entry[0].resource.{name}" for name in ("code", "type", "xpathUsage")
    ]


async def test_of_two_that_clash_one_is_taken(
    client: httpx.AsyncClient, another: httpx.AsyncClient, fresh: Fresh
) -> None:
    code = fresh("once")
    bodies = [parameter(code, f"Patient.name.{name}", "string", url=f"http://x/{name}") for name in ("text", "family")]
    servers = (client, another)
    answers = await asyncio.gather(*(servers[n % 2].post("SearchParameter", json=bodies[n % 2]) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7
    assert all("already" in said(answer) for answer in answers if answer.status_code == 422)


async def test_a_transaction_adds_several_and_a_failed_one_none(client: httpx.AsyncClient, fresh: Fresh) -> None:
    one, two = fresh("one"), fresh("two")
    bodies = [parameter(one, "Patient.name.text", "string"), parameter(two, "Patient.contact.gender")]

    def bundle(*rows: dict[str, Any]) -> dict[str, Any]:
        entries = [{"resource": row, "request": {"method": "POST", "url": "SearchParameter"}} for row in rows]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    refused = await client.post("", json=bundle(*bodies, parameter("family", "Patient.name.text", "string")))
    assert refused.status_code == 422
    assert (await client.get(f"Patient?{one}=x")).status_code == 400
    assert (await client.post("", json=bundle(*bodies))).status_code == 200
    await complete(client, "Patient", one)
    await complete(client, "Patient", two)


async def test_what_fhir_says_itself_is_no_clash(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """Implementation guides repeat FHIR's own parameters; they are stored and change nothing."""
    body = parameter("family", "Patient.name.family", "string", url="http://example.org/us-core-patient-family")
    response = await client.post("SearchParameter", json=body)
    assert response.status_code == 201, response.text
    stated = (await client.get("metadata")).json()["rest"][0]["resource"]
    (patient,) = (row for row in stated if row["type"] == "Patient")
    assert len([row for row in patient["searchParam"] if row["name"] == "family"]) == 1


async def test_a_parameter_of_every_type(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code, patient, location = fresh("lang"), fresh("p"), fresh("l")
    await put(client, "Patient", patient, language="de-AT")
    await put(client, "Location", location, language="de-AT")
    await added(
        client, {**parameter(code, "Resource.language"), "base": ["Resource"]} | {"base": ["Patient", "Location"]}
    )
    assert await found(client, f"Patient?{code}=de-AT") == [f"Patient/{patient}"]
    assert await found(client, f"Location?{code}=de-AT") == [f"Location/{location}"]


async def test_a_search_by_it_walks_its_index(
    client: httpx.AsyncClient, own_settings: Settings, mongo_url: SecretStr, fresh: Fresh
) -> None:
    colour, period = fresh("colour"), fresh("period")
    for number in range(60):
        address = [{"period": {"start": f"{1950 + number}"}}] if number % 2 else []
        elements = {**coloured(f"c{number % 6}"), **({"address": address} if address else {})}
        await put(client, "Patient", f"{fresh('p')}", **elements)
    await added(client, parameter(colour, f"Patient.extension('{COLOUR}').value"))
    await added(client, parameter(period, "Patient.address.period", "date"))
    async with connect(mongo_url, own_settings) as mongo:
        patients = mongo[own_settings.mongo.database].Patient
        names = [index["name"] async for index in await patients.list_indexes()]
        assert {f"added_{colour}", f"added_{period}"} <= set(names)
        token = {f"s.{colour}": "c3|"}
        plan = await patients.find(token).sort([("d", -1), ("o", -1)]).limit(5).explain()
        assert plan["executionStats"]["totalDocsExamined"] <= 6
        span = {
            "$elemMatch": {
                "lo": {"$gte": datetime(2005, 1, 1, tzinfo=UTC)},
                "hi": {"$lt": datetime(2008, 1, 1, tzinfo=UTC)},
            }
        }
        plan = await patients.find({f"s.{period}": span}).explain()
        assert f"added_{period}" in str(plan["queryPlanner"]["winningPlan"])


async def test_one_parameter_of_several_types_and_another_of_its_code(client: httpx.AsyncClient, fresh: Fresh) -> None:
    code, name = fresh("kind"), fresh("n")
    text = {"extension": [{"url": COLOUR, "valueCodeableConcept": {"text": "Sky blue", "coding": [{"code": name}]}}]}
    for resource_type in ("Patient", "Practitioner", "Location"):
        await put(client, resource_type, f"{name}-with", **text)
        await put(client, resource_type, f"{name}-without")
    expression = f"Patient.extension('{COLOUR}').value | Practitioner.extension('{COLOUR}').value"
    await added(client, parameter(code, expression, base=("Patient", "Practitioner")))
    other = parameter(code, "Location.name", "string", ("Location",), url=f"http://example.org/{name}")
    await added(client, other)
    for resource_type in ("Patient", "Practitioner"):
        both = f"_id={name}-with,{name}-without"
        assert await found(client, f"{resource_type}?{code}={name}") == [f"{resource_type}/{name}-with"]
        assert await found(client, f"{resource_type}?{both}&{code}:missing=true") == [f"{resource_type}/{name}-without"]
        assert await found(client, f"{resource_type}?{both}&{code}:missing=false") == [f"{resource_type}/{name}-with"]
        assert await found(client, f"{resource_type}?{both}&{code}:text=sky") == [f"{resource_type}/{name}-with"]
        assert f"{resource_type}/{name}-with" in await found(client, f"{resource_type}?{code}:text=sky")
    assert await found(client, f"Location?{code}={name}") == []
    assert f"Location/{name}-with" in await found(client, f"Location?{code}:missing=true&_count=1000")


async def test_it_finds_what_is_contained_that_was_stored_before_or_after(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    code, name = fresh("tint"), fresh("of")

    async def store(number: int) -> None:
        medication = {"resourceType": "Medication", "id": "m", "extension": [{"url": COLOUR, "valueCode": "red"}]}
        about = {"status": "completed", "medicationReference": {"reference": "#m"}}
        await put(client, "MedicationDispense", f"{name}-{number}", contained=[medication], **about)

    for number in range(3):
        await store(number)
    await put(
        client, "MedicationDispense", f"{name}-other", status="completed", medicationCodeableConcept={"text": "x"}
    )
    await added(client, parameter(code, f"Medication.extension('{COLOUR}').value", base=("Medication",)))
    await store(3)
    places = [f"MedicationDispense/{name}-{number}" for number in range(4)]
    assert await found(client, f"Medication?{code}=red&_contained=true") == places
    assert await found(client, f"Medication?{code}=blue&_contained=true") == []
    assert await found(client, f"Medication?{code}=red") == []
    assert await found(client, f"MedicationDispense?medication.{code}=red") == places
    both = await client.get(f"Medication?{code}=red&_contained=both&_containedType=contained&_summary=count")
    assert both.json()["total"] == 4
