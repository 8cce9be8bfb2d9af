"""transaction bundles (R4 3.1.0.11.2)."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.interactions.conftest import codes, patient, said
from tests.interactions.test_batch import bundle, entry

Fresh = Callable[[str], str]
A, B = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059"


def transaction(*entries: Any) -> dict[str, Any]:
    return bundle(*entries, kind="transaction")


def observation(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **more,
    }


async def test_rewrites_every_link(client: httpx.AsyncClient) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{A}">her</a> <a href="http://x.org">x</a></div>'
    referring = observation(
        A,
        text={"status": "generated", "div": div},
        extension=[
            {"url": "http://x.org/u", "valueUri": A},
            {"url": "http://x.org/r", "valueReference": {"reference": A}},
        ],
        contained=[{"resourceType": "Specimen", "id": "s", "subject": {"reference": A}}],
        specimen={"reference": "#s"},
        identifier=[{"system": "urn:ietf:rfc:3986", "value": A}],
    )
    response = await client.post(
        "",
        json=transaction(
            {"fullUrl": B, **entry("POST", "Observation", referring)},
            {"fullUrl": A, **entry("POST", "Patient", patient())},
        ),
    )
    assert response.status_code == 200, response.text
    rows = response.json()["entry"]
    assert [row["response"]["status"] for row in rows] == ["201 Created", "201 Created"]
    target = rows[1]["response"]["location"].split("/_history")[0]
    stored = (await client.get(rows[0]["response"]["location"].split("/_history")[0])).json()
    assert stored["subject"]["reference"] == target
    assert stored["contained"][0]["subject"]["reference"] == target
    assert stored["extension"][0]["valueUri"] == target
    assert stored["extension"][1]["valueReference"]["reference"] == target
    assert f'<a href="{target}">her</a> <a href="http://x.org">x</a>' in stored["text"]["div"]
    assert stored["identifier"][0]["value"] == A  # a business identifier is a string, no link


async def test_is_all_or_nothing(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    for bad, status in (
        (entry("POST", "Patient", patient(gender="mail")), 400),
        (entry("POST", "Observation", observation("Patient/nobody")), 422),
        (entry("GET", "Patient/nobody"), 404),
        (entry("PUT", "Patient/x", patient(id="x"), ifMatch='W/"7"'), 412),
    ):
        response = await client.post("", json=transaction(entry("PUT", f"Patient/{key}", patient(id=key)), bad))
        assert response.status_code == status, response.text
        assert response.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
        assert (await client.get(f"Patient/{key}")).status_code == 404


async def test_runs_in_the_order_of_the_specification(client: httpx.AsyncClient, fresh: Fresh) -> None:
    old, new = fresh("old"), fresh("new")
    await client.put(f"Patient/{old}", json=patient(id=old))
    response = await client.post(
        "",
        json=transaction(
            entry("GET", f"Patient/{new}"),
            entry("GET", f"Patient?_id={new},{old}"),
            entry("PUT", f"Patient/{new}", patient(id=new)),
            entry("DELETE", f"Patient/{old}"),
        ),
    )
    assert response.status_code == 200, response.text
    rows = response.json()["entry"]
    assert [row["response"]["status"][:3] for row in rows] == ["200", "200", "201", "204"]
    assert rows[0]["resource"]["id"] == new
    assert [found["resource"]["id"] for found in rows[1]["resource"]["entry"]] == [new]


async def test_deletes_a_resource_and_what_refers_to_it(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key, other = fresh("p"), fresh("o")
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.put(f"Observation/{other}", json=observation(f"Patient/{key}", id=other))
    alone = await client.post("", json=transaction(entry("DELETE", f"Patient/{key}")))
    assert alone.status_code == 409
    both = await client.post(
        "", json=transaction(entry("DELETE", f"Patient/{key}"), entry("DELETE", f"Observation/{other}"))
    )
    assert both.status_code == 200, both.text


async def test_refuses_clashing_identities(client: httpx.AsyncClient) -> None:
    twice = await client.post(
        "",
        json=transaction(
            {"fullUrl": A, **entry("POST", "Patient", patient())}, {"fullUrl": A, **entry("POST", "Patient", patient())}
        ),
    )
    assert twice.status_code == 400
    assert "same identity" in said(twice)
    same = await client.post(
        "", json=transaction(entry("PUT", "Patient/a", patient(id="a")), entry("DELETE", "Patient/a"))
    )
    assert same.status_code == 400


async def test_refuses_a_dangling_urn(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=transaction(entry("POST", "Observation", observation(A))))
    assert response.status_code == 400
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.subject.reference"]


async def test_takes_cyclic_references(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "",
        json=transaction(
            {
                "fullUrl": A,
                **entry("POST", "Patient", patient(link=[{"other": {"reference": B}, "type": "seealso"}])),
            },
            {
                "fullUrl": B,
                **entry("POST", "Patient", patient(link=[{"other": {"reference": A}, "type": "seealso"}])),
            },
        ),
    )
    assert response.status_code == 200, response.text


async def test_conditional_create_and_references(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    condition = f"identifier=urn:mrn|{key}"

    def visit() -> dict[str, Any]:
        return transaction(
            {"fullUrl": A, **entry("POST", "Patient", body, ifNoneExist=condition)},
            entry("POST", "Observation", observation(A)),
        )

    first, second = await client.post("", json=visit()), await client.post("", json=visit())
    assert [first.json()["entry"][0]["response"]["status"], second.json()["entry"][0]["response"]["status"]] == [
        "201 Created",
        "200 OK",
    ]
    owner = first.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert second.json()["entry"][0]["response"]["location"].startswith(owner)

    by_condition = await client.post(
        "", json=transaction(entry("POST", "Observation", observation(f"Patient?{condition}")))
    )
    assert by_condition.status_code == 200, by_condition.text
    location = by_condition.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert (await client.get(location)).json()["subject"]["reference"] == owner

    unmatched = observation(f"Patient?identifier={fresh('none')}")
    nowhere = await client.post("", json=transaction(entry("POST", "Observation", unmatched)))
    assert nowhere.status_code == 412


async def test_concurrent_transactions_with_one_condition_make_one_resource(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    visit = transaction({"fullUrl": A, **entry("POST", "Patient", body, ifNoneExist=f"identifier=urn:mrn|{key}")})
    answers = await asyncio.gather(*(client.post("", json=visit) for _ in range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get("Patient", params={"identifier": f"urn:mrn|{key}"})).json()["total"] == 1


async def test_conditional_update_and_delete(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    url = f"Patient?identifier=urn:mrn|{key}"
    for status in ("201", "200"):
        response = await client.post("", json=transaction(entry("PUT", url, body)))
        assert response.json()["entry"][0]["response"]["status"][:3] == status, response.text
    for _ in range(2):
        response = await client.post("", json=transaction(entry("DELETE", url)))
        assert response.json()["entry"][0]["response"]["status"][:3] == "204"


async def test_patches_with_a_binary(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    operations = base64.b64encode(json.dumps([{"op": "add", "path": "/active", "value": True}]).encode()).decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": operations}
    response = await client.post("", json=transaction(entry("PATCH", f"Patient/{key}", binary)))
    assert response.status_code == 200, response.text
    assert (await client.get(f"Patient/{key}")).json()["active"] is True


async def test_takes_5000_entries(client: httpx.AsyncClient, fresh: Fresh) -> None:
    mark = fresh("bulk")
    rows = [entry("POST", "Patient", patient(identifier=[{"value": mark}])) for _ in range(5000)]
    response = await client.post("", json=transaction(*rows), timeout=120)
    assert response.status_code == 200
    assert (await client.get("Patient", params={"identifier": mark, "_summary": "count"})).json()["total"] == 5000


async def test_concurrent_transactions_on_one_resource_all_count(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    visit = transaction(entry("PUT", f"Patient/{key}", patient(id=key)), entry("POST", "Patient", patient()))
    answers = await asyncio.gather(*(client.post("", json=visit) for _ in range(12)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    done = sum(answer.status_code == 200 for answer in answers)
    current = await client.get(f"Patient/{key}")
    assert current.headers["etag"] == f'W/"{done}"'


async def test_concurrent_transactions_that_change_the_hierarchy_store_each_its_own(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    """They are checked side by side, before one after the other holds the lock of the hierarchy."""
    mark = fresh("house")

    def one(number: int) -> dict[str, Any]:
        house = {"resourceType": "Organization", "name": f"{mark}-{number}", "identifier": [{"value": mark}]}
        people = [patient(managingOrganization={"reference": A}, name=[{"family": f"{number}"}]) for _ in range(20)]
        return transaction(
            {**entry("POST", "Organization", house), "fullUrl": A}, *(entry("POST", "Patient", each) for each in people)
        )

    answers = await asyncio.gather(*(client.post("", json=one(number)) for number in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.get("Organization", params={"identifier": mark, "_summary": "count"})).json()["total"] == 8
    for number, answer in enumerate(answers):
        house, *people = (row["response"]["location"] for row in answer.json()["entry"])
        organization = house.partition("/_history/")[0].rpartition("/")[2]
        for place in people:
            stored = (await client.get(place)).json()
            assert stored["managingOrganization"]["reference"] == f"Organization/{organization}"
            assert stored["name"] == [{"family": f"{number}"}]


async def test_of_a_transaction_with_a_wrong_resource_it_is_said_where_it_stands(client: httpx.AsyncClient) -> None:
    wrong = patient(gender="unicorn")
    answer = await client.post(
        "", json=transaction(entry("POST", "Patient", patient()), entry("POST", "Patient", wrong))
    )
    assert answer.status_code == 400
    assert ["Bundle.entry[1].resource.gender"] in [issue["expression"] for issue in answer.json()["issue"]]
    assert "Bundle.entry[0]" not in answer.text


async def test_an_id_that_was_deleted_goes_on_with_its_versions_beside_new_ones(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    one, new = fresh("again"), fresh("new")
    rows = [(one, patient(id=one)), (new, patient(id=new)), (one, {**observation(f"Patient/{one}"), "id": one})]
    asked = transaction(*(entry("PUT", f"{row['resourceType']}/{name}", row) for name, row in rows))
    await client.put(f"Patient/{one}", json=patient(id=one))
    await client.put(f"Patient/{one}", json=patient(id=one, gender="other"))
    await client.delete(f"Patient/{one}")
    response = await client.post("", json=asked)
    assert [row["response"]["etag"] for row in response.json()["entry"]] == ['W/"4"', 'W/"1"', 'W/"1"']
    assert (await client.get(f"Patient/{one}/_history")).json()["total"] == 4
    for name, row in rows[::-1]:
        assert (await client.delete(f"{row['resourceType']}/{name}")).status_code == 204
    response = await client.post("", json=asked)
    assert [row["response"]["etag"] for row in response.json()["entry"]] == ['W/"6"', 'W/"3"', 'W/"3"']
    moments = [
        row["resource"]["meta"]["lastUpdated"]
        for row in (await client.get(f"Patient/{one}/_history")).json()["entry"]
        if "resource" in row
    ]
    assert moments == sorted(moments, reverse=True)


async def test_a_nested_bundle_or_unknown_url_is_refused(client: httpx.AsyncClient) -> None:
    for row in (
        entry("POST", "", {"resourceType": "Bundle", "type": "transaction"}),
        entry("POST", "http://elsewhere.org/Patient", patient()),
        entry("BREW", "Patient", patient()),
        entry("POST", "Patient"),
        {"resource": patient()},
    ):
        response = await client.post("", json=transaction(row))
        assert response.status_code in {400, 404, 405}, response.text
        assert codes(response)
