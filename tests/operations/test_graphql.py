"""$graphql over HTTP: reads, lists, connections, references, directives, errors, limits."""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest
import pytest_asyncio
from graphql import GraphQLSchema, build_client_schema, get_introspection_query, validate_schema

from fhir_server.graphql import introspection, sources
from fhir_server.graphql.introspection import Introspection
from fhir_server.graphql.schema import schema
from profiles.definitions.registry import load
from tests.effort import within
from tests.operations.test_everything import stored

Json = dict[str, Any]
LOINC = "http://loinc.org"

RECORD: list[Json] = [
    {"resourceType": "Organization", "id": "gql-house", "name": "House"},
    {"resourceType": "Practitioner", "id": "gql-grey", "name": [{"family": "Grey"}]},
    {
        "resourceType": "Patient",
        "id": "gql-ann",
        "active": True,
        "birthDate": "1980-01-01",
        "_birthDate": {"extension": [{"url": "urn:time", "valueTime": "10:00:00"}]},
        "name": [
            {"use": "official", "family": "Windsor", "given": ["Ann", "Bea"]},
            {"use": "nickname", "given": ["Annie"], "text": "Annie"},
        ],
        "telecom": [{"system": "phone", "value": "1", "rank": 2}, {"system": "email", "value": "a@b.c"}],
        "generalPractitioner": [{"reference": "Practitioner/gql-grey"}, {"reference": "Organization/gql-house"}],
        "contained": [{"resourceType": "Organization", "id": "inner", "name": "Inner"}],
        "managingOrganization": {"reference": "#inner"},
    },
    *(
        {
            "resourceType": "Observation",
            "id": f"gql-{number}",
            "status": "final" if number else "preliminary",
            "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
            "subject": {"reference": "Patient/gql-ann"},
            "performer": [{"reference": "Practitioner/gql-grey"}],
            "effectiveDateTime": f"2024-01-0{number + 1}",
            "valueQuantity": {"value": 60 + number, "unit": "/min"},
        }
        for number in range(5)
    ),
]


@pytest_asyncio.fixture(scope="module", autouse=True, loop_scope="session")
async def record(client: httpx.AsyncClient) -> None:
    await stored(client, RECORD)


async def asked(client: httpx.AsyncClient, query: str, path: str = "$graphql", **more: Any) -> Json:
    response = await client.post(path, json={"query": query, **more}, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    found: Json = response.json()
    return found


async def data(client: httpx.AsyncClient, query: str, path: str = "$graphql", **more: Any) -> Json:
    found = await asked(client, query, path, **more)
    assert "errors" not in found, found
    told: Json = found["data"]
    return told


async def refused(client: httpx.AsyncClient, query: str) -> str:
    response = await client.post("$graphql", json={"query": query}, headers={"Content-Type": "application/json"})
    assert response.status_code == 400, response.text
    errors = response.json()["errors"]
    assert errors[0]["extensions"]["resource"]["resourceType"] == "OperationOutcome"
    return str(errors[0]["message"])


async def test_a_resource_is_read_with_the_fields_that_are_asked_for(client: httpx.AsyncClient) -> None:
    query = '{ Patient(id: "gql-ann") { resourceType id active gender birthDate _birthDate { extension { url valueTime } } } }'
    assert await data(client, query) == {
        "Patient": {
            "resourceType": "Patient",
            "id": "gql-ann",
            "active": True,
            "gender": None,
            "birthDate": "1980-01-01",
            "_birthDate": {"extension": [{"url": "urn:time", "valueTime": "10:00:00"}]},
        }
    }


@pytest.mark.parametrize("method", ["GET", "JSON", "graphql", "Parameters"])
async def test_a_query_is_taken_in_each_form(client: httpx.AsyncClient, method: str) -> None:
    query = 'query A($id: id!) { Patient(id: $id) { id } } query B { Patient(id: "gql-ann") { id __typename } }'
    path = "$graphql"
    if method == "GET":
        response = await client.get(
            path, params={"query": query, "operationName": "A", "variables": '{"id": "gql-ann"}'}
        )
    elif method == "JSON":
        body = {"query": query, "operationName": "A", "variables": {"id": "gql-ann"}}
        response = await client.post(path, json=body, headers={"Content-Type": "application/json", "Accept": "*/*"})
    elif method == "graphql":
        headers = {"Content-Type": "application/graphql", "Accept": "application/graphql-response+json"}
        response = await client.post(path, content='{ Patient(id: "gql-ann") { id } }', headers=headers)
    else:
        rows = [{"name": "query", "valueString": '{ Patient(id: "gql-ann") { id } }'}]
        response = await client.post(path, json={"resourceType": "Parameters", "parameter": rows})
    assert response.json() == {"data": {"Patient": {"id": "gql-ann"}}}


async def test_an_instance_is_asked_for_its_own_fields(client: httpx.AsyncClient) -> None:
    query = "{ id name { family } ...more } fragment more on Patient { active }"
    assert await data(client, query, "Patient/gql-ann/$graphql") == {
        "id": "gql-ann",
        "name": [{"family": "Windsor"}, {"family": None}],
        "active": True,
    }
    missing = await client.get("Patient/nobody/$graphql", params={"query": "{ id }"})
    assert (missing.status_code, missing.json()["resourceType"]) == (404, "OperationOutcome")


async def test_a_list_is_searched_by_the_parameters_of_the_type(client: httpx.AsyncClient) -> None:
    query = """{ ObservationList(subject: "Patient/gql-ann", code: "8867-4", status: final, _sort: "-date", _count: 2, _offset: 1,
                 date: ["ge2024-01-01", "lt2024-02-01"]) { id } }"""
    assert await data(client, query) == {"ObservationList": [{"id": "gql-3"}, {"id": "gql-2"}]}


async def test_a_connection_goes_from_page_to_page(client: httpx.AsyncClient) -> None:
    query = """query($cursor: String) { ObservationConnection(patient: "gql-ann", _count: 2, _sort: "date", _cursor: $cursor) {
               count pagesize next edges { mode resource { id } } } }"""
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        found = (await data(client, query, variables={"cursor": cursor}))["ObservationConnection"]
        assert (found["count"], found["pagesize"]) == (5, 2)
        seen += [edge["resource"]["id"] for edge in found["edges"]]
        cursor, pages = found["next"], pages + 1
    assert (seen, pages) == ([f"gql-{number}" for number in range(5)], 3)


async def test_references_lead_to_resources_of_the_type_that_is_asked_for(client: httpx.AsyncClient) -> None:
    query = """{ Patient(id: "gql-ann") {
        generalPractitioner { who: resource(type: Practitioner) { name { family } } where: resource(type: Organization) { name } }
        managingOrganization { resource { id ... on Organization { name } } } } }"""
    assert (await data(client, query))["Patient"] == {
        "generalPractitioner": [
            {"who": {"name": [{"family": "Grey"}]}, "where": None},
            {"who": None, "where": {"name": "House"}},
        ],
        "managingOrganization": {"resource": {"id": "inner", "name": "Inner"}},
    }


async def test_what_refers_to_a_resource_is_found_from_it(client: httpx.AsyncClient) -> None:
    query = """{ Patient(id: "gql-ann") { ObservationList(_reference: subject, status: [preliminary]) { id
        subject { resource { ... on Patient { id } } } } ObservationConnection(_reference: patient) { count } } }"""
    assert (await data(client, query))["Patient"] == {
        "ObservationList": [{"id": "gql-0", "subject": {"resource": {"id": "gql-ann"}}}],
        "ObservationConnection": {"count": 5},
    }
    found = await asked(client, '{ Patient(id: "gql-ann") { ObservationList(_reference: code) { id } } }')
    assert "subject" in found["errors"][0]["message"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("name(use: official) { family }", {"name": [{"family": "Windsor"}]}),
        ("name(_offset: 1, _count: 1) { use }", {"name": [{"use": "nickname"}]}),
        ('name(fhirpath: "given.count() = 1") { use }', {"name": [{"use": "nickname"}]}),
        ("telecom(rank: 2) { value }", {"telecom": [{"value": "1"}]}),
        ("name { given(_count: 1) }", {"name": [{"given": ["Ann"]}, {"given": ["Annie"]}]}),
        ("name @first { use }", {"name": [{"use": "official"}]}),
        ("name @first @singleton { family given @first @singleton }", {"name": {"family": "Windsor", "given": "Ann"}}),
        ("name @flatten { use given }", {"use": ["official", "nickname"], "given": ["Ann", "Bea", "Annie"]}),
        ("name @first @singleton @flatten { family given @first @singleton }", {"family": "Windsor", "given": "Ann"}),
        (
            'name @slice(fhirpath: "use") @flatten { given @first @singleton }',
            {"given.official": "Ann", "given.nickname": "Annie"},
        ),
        ('telecom @slice(path: "$index") { value }', {"telecom.0": {"value": "1"}, "telecom.1": {"value": "a@b.c"}}),
        ("id @include(if: false) active @skip(if: true) gender", {"gender": None}),
    ],
)
async def test_lists_are_selected_from_and_reshaped(client: httpx.AsyncClient, selection: str, expected: Json) -> None:
    assert await data(client, f"{{ {selection} }}", "Patient/gql-ann/$graphql") == expected


async def test_what_is_not_there_is_an_error_with_the_rest_of_the_answer(client: httpx.AsyncClient) -> None:
    found = await asked(client, '{ a: Patient(id: "nobody") { id } b: Patient(id: "gql-ann") { id } }')
    assert found["data"] == {"a": None, "b": {"id": "gql-ann"}}
    assert found["errors"][0]["path"] == ["a"]
    assert found["errors"][0]["extensions"]["resource"]["issue"][0]["code"] == "not-found"
    wrong = await asked(client, '{ PatientList(birthdate: "soon") { id } }')
    assert wrong["data"] == {"PatientList": None}
    assert wrong["errors"][0]["extensions"]["resource"]["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ Patient { id } }",
        "{ Patient(id: a) { colour } }",
        "{ PatientList(colour: red) { id } }",
        "mutation { PatientDelete(id: a) { id } }",
        "query A { Patient(id: a) { id } } query B { Patient(id: b) { id } }",
        "query($id: id!) { Patient(id: $id) { id } }",
        "{ Patient(id: a) { ...a } } fragment a on Patient { ...b } fragment b on Patient { ...a }",
    ],
)
async def test_a_query_that_is_wrong_is_refused_before_anything_is_read(client: httpx.AsyncClient, query: str) -> None:
    await refused(client, query)


@pytest.mark.parametrize(
    "path", ["$graphql", "$graphql?query=%20", "$graphql?query={Patient(id:a){id}}&variables=x", "$graphql?colour=red"]
)
async def test_a_request_without_a_query_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 400


ATTACKS = {
    "deep": "{ Patient(id: a) " + "extension { " * 40 + "url" + " }" * 40 + " }",
    "doubling": "{ Patient(id: a) { ...f0 } }"
    + " ".join(f"fragment f{n} on Patient {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
    + " fragment f60 on Patient { id }",
    "aliases": "{" + " ".join(f'a{n}: Patient(id: "gql-ann") {{ id }}' for n in range(1200)) + "}",
    "alike": "{ PatientList {" + " ".join("name(use: official) { given }" for _ in range(400)) + "} }",
    "long": "{ Patient(id: a) { id } }" + "#" * 70_000,
    "braces": "{" * 5_000,
    "lists": "query($x: [[[" * 2000,
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_query_made_to_cost_much_is_refused_at_once(client: httpx.AsyncClient, attack: str) -> None:
    await data(client, '{ Patient(id: "gql-ann") { id } }')  # the schema is made
    with within(5):
        await refused(client, ATTACKS[attack])


async def test_a_query_that_doubles_by_references_ends_within_its_budget(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop = "ObservationList(_reference: subject) { id subject { resource { ... on Patient { "
    query = '{ Patient(id: "gql-ann") { ' + hop * 4 + "id" + " } } } }" * 4 + " } }"
    monkeypatch.setattr(sources, "MOST_SEARCHES", 20)
    response = await client.post("$graphql", json={"query": query}, headers={"Content-Type": "application/json"})
    assert response.status_code >= 400
    assert response.json()["data"] is None
    assert "searches" in response.json()["errors"][0]["message"]
    monkeypatch.setattr(sources, "MOST_SEARCHES", 1000)
    monkeypatch.setattr(sources, "MOST_RESOURCES", 50)
    response = await client.post("$graphql", json={"query": query}, headers={"Content-Type": "application/json"})
    assert "resources" in response.json()["errors"][0]["message"]
    monkeypatch.setattr(sources, "SECONDS", 0)
    response = await client.post("$graphql", json={"query": query}, headers={"Content-Type": "application/json"})
    assert "seconds" in response.json()["errors"][0]["message"]


async def test_a_transaction_takes_no_query_and_a_batch_does(client: httpx.AsyncClient) -> None:
    entry = {"request": {"method": "GET", "url": '$graphql?query={Patient(id:"gql-ann"){id}}'}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert (await client.post("", json=bundle)).status_code == 400


async def test_the_schema_tells_of_itself(client: httpx.AsyncClient) -> None:
    query = '{ __typename __schema { queryType { name } } __type(name: "HumanName") { kind fields { name type { name kind ofType { name } } } } }'
    found = await data(client, query)
    assert found["__schema"] == {"queryType": {"name": "Query"}}
    fields = {one["name"]: one["type"] for one in found["__type"]["fields"]}
    assert found["__type"]["kind"] == "OBJECT"
    assert fields["given"] == {"name": None, "kind": "LIST", "ofType": {"name": "string"}}


async def test_what_tools_ask_of_the_schema_is_made_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    introspection.kept.cache_clear()
    made: list[Any] = []
    answer = Introspection.answer

    def counted(own: Introspection, selections: Any) -> Any:
        made.append(selections)
        return answer(own, selections)

    monkeypatch.setattr(Introspection, "answer", counted)
    asked = "query A($name: String!) { __type(name: $name) { name } }"
    wishes: list[Json] = [{"query": get_introspection_query()}] * 3
    wishes += [{"query": asked, "variables": {"name": name}} for name in ("HumanName", "Address", "HumanName")]
    wishes.append({"query": '{ __type(name: "HumanName") { name } Patient(id: "gql-ann") { id __typename } }'})
    headers = {"Content-Type": "application/json"}
    answers = await asyncio.gather(*(client.post("$graphql", json=wish, headers=headers) for wish in wishes))
    found = [answer.json()["data"] for answer in answers]
    assert found[0] == found[1] == found[2]
    assert len(build_client_schema(found[0]).type_map) > 900
    assert [one["__type"]["name"] for one in found[3:]] == ["HumanName", "Address", "HumanName", "HumanName"]
    assert found[6]["Patient"] == {"id": "gql-ann", "__typename": "Patient"}
    assert len(made) == 4


async def test_introspection_keeps_the_answers_of_late_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MOST_KEPT", 2)
    kept, made = introspection.Kept(), list[bytes]()

    def answer(asked: bytes) -> dict[str, Any]:
        made.append(asked)
        return {"asked": asked.decode()}

    for asked in (b"a", b"b", b"a", b"c", b"a", b"b"):
        assert await kept.encoded(asked, partial(answer, asked)) == b'{"asked":"%b"}' % asked
    assert made == [b"a", b"b", b"c", b"b"]


def test_the_schema_is_valid() -> None:
    parts: dict[str, Any] = {**schema(load()).to_kwargs(), "assume_valid": False}
    assert validate_schema(GraphQLSchema(**parts)) == []
