"""patch with FHIRPath Patch (R4 3.1.0.5.3) over HTTP, in JSON, in XML and in bundles."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.effort import within
from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]
Json = dict[str, Any]
HEADERS = {"Content-Type": "application/fhir+json"}


def operation(kind: str, path: str, **parts: Any) -> Json:
    rows = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        rows.append({"name": name, **(value if isinstance(value, dict) else {"valueString": value})})
    return {"name": "operation", "part": rows}


def sent(*operations: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(operations)}


async def test_finds_its_place_by_what_is_there(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    telecom = [{"system": "phone", "value": "1"}, {"system": "email", "value": "a@b.example"}]
    await client.put(f"Patient/{key}", json=patient(id=key, telecom=telecom))
    change = sent(
        operation("replace", "Patient.telecom.where(system = 'email').value", value={"valueString": "c@d.example"}),
        operation("add", "Patient", name="birthDate", value={"valueDate": "1815-12-10"}),
        operation(
            "add", "Patient", name="contact", value={"part": [{"name": "name", "valueHumanName": {"text": "Ann"}}]}
        ),
        operation("delete", "Patient.telecom.where(system = 'fax')"),
    )
    response = await client.patch(f"Patient/{key}", json=change, headers=HEADERS)
    assert response.status_code == 200, response.text
    found = response.json()
    assert [one["value"] for one in found["telecom"]] == ["1", "c@d.example"]
    assert (found["birthDate"], found["contact"]) == ("1815-12-10", [{"name": {"text": "Ann"}}])
    assert response.headers["etag"] == 'W/"2"'


async def test_comes_as_xml(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    change = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/>'
        '<valueCode value="add"/></part><part><name value="path"/><valueString value="Patient"/></part><part>'
        '<name value="name"/><valueString value="active"/></part><part><name value="value"/><valueBoolean value="true"/>'
        "</part></parameter></Parameters>"
    )
    sent_as = {"Content-Type": "application/fhir+xml"}
    response = await client.patch(f"Patient/{key}", content=change, headers=sent_as)
    assert response.status_code == 200, response.text
    assert (await client.get(f"Patient/{key}", headers={"Accept": "application/fhir+json"})).json()["active"] is True


async def test_is_an_entry_of_a_bundle(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    change = sent(operation("add", "Patient", name="active", value={"valueBoolean": False}))
    entry = {"resource": change, "request": {"method": "PATCH", "url": f"Patient/{key}", "ifMatch": 'W/"1"'}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    response = await client.post("", json=bundle)
    assert response.status_code == 200, response.text
    assert response.json()["entry"][0]["response"]["status"].startswith("200")
    assert (await client.get(f"Patient/{key}")).json()["active"] is False
    again = await client.post("", json=bundle)
    assert again.status_code == 412, "the version of before is gone"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (
            sent(operation("replace", "Patient.photo.url", value="x")),
            422,
            "leads to no elements; 'replace' needs exactly one",
        ),
        (sent(operation("delete", "Patient.name.given")), 422, "leads to 2 elements; 'delete' takes one"),
        (sent(operation("delete", "Patient")), 422, "is the whole resource"),
        (sent(operation("replace", "Patient.id", value={"valueId": "x"})), 422, "must not change id"),
        (
            sent(operation("move", "Patient.name", source={"valueInteger": 0}, destination={"valueInteger": 7})),
            422,
            "list of 1",
        ),
        (
            sent(operation("insert", "Patient.name.family", index={"valueInteger": 0}, value="x")),
            422,
            "leads to no list",
        ),
        (
            sent(operation("add", "Patient", name="name", value={"valuePeriod": {"start": "2020"}})),
            422,
            "It takes HumanName",
        ),
        (sent(operation("add", "Patient", name="surname", value="x")), 422, "'surname' is no element of Patient"),
        (sent(operation("delete", "Patient.name.count()")), 422, "computes a value"),
        (sent(operation("delete", "Patient.name[")), 400, "cannot be used"),
        (sent(operation("delete", "Patient.surname")), 400, "surname"),
        (sent(operation("explode", "Patient.name")), 400, "There are add, insert, delete, replace, move"),
        (sent(operation("delete", "Patient.name", value="x")), 400, "takes no part 'value'"),
        (sent(operation("add", "Patient", value="x")), 400, "needs the part 'name'"),
        (
            sent(operation("move", "Patient.name", source={"valueInteger": -1}, destination={"valueInteger": 0})),
            400,
            "'source'",
        ),
        (sent({"name": "operation"}), 400, "each with parts"),
        (sent(operation("add", "Patient", name="gender", value={"valueCode": "mail"})), 400, "mail"),
        ({"resourceType": "Patient"}, 400, "is a Parameters resource, not 'Patient'"),
        ({"resourceType": "Parameters", "parameter": "x"}, 400, "is an array"),
    ],
)
async def test_refuses_what_does_not_fit_with_the_remedy(
    client: httpx.AsyncClient, fresh: Fresh, change: Json, status: int, words: str
) -> None:
    key = fresh("p")
    person = patient(id=key, name=[{"family": "Lovelace", "given": ["Ada", "Augusta"]}])
    assert (await client.put(f"Patient/{key}", json=person)).status_code == 201
    response = await client.patch(f"Patient/{key}", json=change, headers=HEADERS)
    assert response.status_code == status, response.text
    assert words in said(response)
    assert (await client.get(f"Patient/{key}")).headers["etag"] == 'W/"1"'


NAMES = [{"family": "x" * 200, "given": ["y"] * 20}] * 50


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("Patient.name.where(family.matches('(x+x+)+y'))", 422, "leads to no elements"),
        ("Patient.name.where(family.replaceMatches('(a|aa)+$', 'z') = '')", 422, "leads to no elements"),
        ("Patient.name.where(family.matches('(?=x)'))", 422, "is no regular expression here"),
        ("Patient.name.where((1).repeat($this + 1).exists())", 422, "more than"),
        ("Patient.name.where(" + "%resource.name.exists(" * 6 + "given = 'none'" + ")" * 7, 422, "more than"),
        ("Patient.name.where(family" + ".replace('x', 'xxxxxxxxxx')" * 60 + " = '')", 422, "more than"),
        ("Patient.name" + ".descendants()" * 150, 422, "leads to no elements"),
        ("Patient.name.where(" + "(" * 5_000 + "true" + ")" * 5_000 + ")", 400, "cannot be used"),
        ("Patient.name" + ".where(true)" * 5_000, 400, "cannot be used"),
        ("Patient.name.where(" + "not() and ".join(["true."] * 400) + "not())", 400, "cannot be used"),
        ("Patient." + "x" * 100_000, 400, "cannot be used"),
        ("Patient.name.where(family = '" + "\\" * 10_001 + "')", 400, "cannot be used"),
    ],
    ids=range(12),
)  # fmt: skip
async def test_a_path_made_to_take_long_is_refused_soon(
    client: httpx.AsyncClient, fresh: Fresh, path: str, status: int, words: str
) -> None:
    key = fresh("p")
    assert (await client.put(f"Patient/{key}", json=patient(id=key, name=NAMES))).status_code == 201
    with within(2):
        response = await client.patch(
            f"Patient/{key}", json=sent(operation("replace", path, value="x")), headers=HEADERS
        )
    assert response.status_code == status, response.text
    assert words in said(response)


async def test_a_thousand_paths_take_no_longer_together(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    assert (await client.put(f"Patient/{key}", json=patient(id=key, name=NAMES))).status_code == 201
    slow = "Patient.name.where(%resource.name.given.exists($this = 'none'))"
    change = sent(*[operation("delete", f"{slow}.where({n} = {n})") for n in range(1_000)])
    with within(5):
        response = await client.patch(f"Patient/{key}", json=change, headers=HEADERS)
    assert (response.status_code, "steps" in said(response)) == (422, True)
    one = await client.patch(f"Patient/{key}", json=sent(operation("delete", slow)), headers=HEADERS)
    assert one.status_code == 200, one.text
