"""patch with JSON Patch and XML Patch, and what all patches have in common (R4 3.1.0.5)."""

import base64
import json
from collections.abc import Callable

import httpx

from tests.interactions.conftest import patient, said

Fresh = Callable[[str], str]
HEADERS = {"Content-Type": "application/json-patch+json"}


async def test_changes_a_part(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    operations = [
        {"op": "test", "path": "/name/0/family", "value": "Lovelace"},
        {"op": "replace", "path": "/name/0/family", "value": "King"},
    ]
    response = await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)
    assert response.status_code == 200
    assert response.json()["name"][0]["family"] == "King"
    assert response.headers["etag"] == 'W/"2"'


async def test_refuses_what_does_not_fit(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    cases: list[tuple[object, int]] = [
        ([{"op": "test", "path": "/name/0/family", "value": "Byron"}], 422),
        ([{"op": "remove", "path": "/photo/0"}], 422),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422),
        ([{"op": "add", "path": "/gender", "value": "mail"}], 400),
        ([{"op": "explode", "path": "/gender"}], 400),
        ([{"path": "/gender"}], 400),
        ({"op": "add"}, 400),
        ("x", 400),
        ([1], 400),
    ]
    for operations, status in cases:
        response = await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)
        assert response.status_code == status, (operations, response.text)
        assert said(response)
    assert (await client.get(f"Patient/{key}")).headers["etag"] == 'W/"1"'


async def test_needs_its_media_type(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    for media in ("application/json", "application/merge-patch+json"):
        response = await client.patch(f"Patient/{key}", content=b"[]", headers={"Content-Type": media})
        assert response.status_code == 415
        assert "application/json-patch+json" in said(response)


async def test_of_nothing_is_404_and_of_a_deletion_410(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    operations = json.dumps([{"op": "add", "path": "/active", "value": True}])
    assert (await client.patch(f"Patient/{key}", content=operations, headers=HEADERS)).status_code == 404
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.delete(f"Patient/{key}")
    assert (await client.patch(f"Patient/{key}", content=operations, headers=HEADERS)).status_code == 410
    nobody = await client.patch(f"Patient?identifier={key}", content=operations, headers=HEADERS)
    assert nobody.status_code == 404


def narrative(status: str) -> dict[str, str]:
    return {"status": status, "div": '<div xmlns="http://www.w3.org/1999/xhtml">Ada Lovelace, not active</div>'}


async def patched(client: httpx.AsyncClient, key: str, *operations: object) -> httpx.Response:
    return await client.patch(f"Patient/{key}", content=json.dumps(operations), headers=HEADERS)


async def test_leaves_no_narrative_that_contradicts_the_data(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """The specification demands that the narrative is not clinically unsafe after a patch."""
    key = fresh("p")
    activate = {"op": "add", "path": "/active", "value": True}
    for status in ("generated", "extensions"):
        await client.put(f"Patient/{key}", json=patient(id=key, text=narrative(status)))
        body = (await patched(client, key, activate)).json()
        assert body["active"] is True
        assert "text" not in body

    await client.put(f"Patient/{key}", json=patient(id=key, text=narrative("additional")))
    refused = await patched(client, key, activate)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["expression"] == ["Patient.text"]
    own = await patched(client, key, activate, {"op": "replace", "path": "/text", "value": narrative("generated")})
    assert own.json()["text"] == narrative("generated")


async def test_keeps_a_narrative_that_it_cannot_have_outdated(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, text=narrative("additional")))
    tag = {"op": "add", "path": "/meta/tag", "value": [{"code": "x"}]}
    test = {"op": "test", "path": "/name/0/family", "value": "Lovelace"}
    body = (await patched(client, key, test, tag)).json()
    assert body["text"] == narrative("additional")
    assert body["meta"]["tag"] == [{"code": "x"}]


async def test_names_the_operation_that_does_not_fit(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, active=True))
    for value in (1, "true", 1.0):  # none of them is true
        response = await patched(client, key, {"op": "test", "path": "/active", "value": value})
        assert response.status_code == 422
        assert "Operation 0 of the patch, test /active" in said(response)


XML_PATCH = {"Content-Type": "application/xml-patch+xml"}


def diff(operations: str) -> str:
    return f'<diff xmlns:f="http://hl7.org/fhir" xmlns="http://hl7.org/fhir">{operations}</diff>'


async def test_an_xml_patch_changes_a_part(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    weight = '{"url":"http://example.org/weight","valueDecimal":61.50}'
    sent = json.dumps(patient(id=key, birthDate="1984")).replace('"name"', f'"extension":[{weight}],"name"')
    await client.put(f"Patient/{key}", content=sent)
    operations = (
        '<replace sel="f:Patient/f:name[1]/f:family/@value">King</replace>'
        # Where in the order of the definitions it must stand, the server knows.
        '<add sel="f:Patient"><gender value="female"/></add>'
        '<remove sel="f:Patient/f:name/f:given[1]"/>'
    )
    response = await client.patch(f"Patient/{key}", content=diff(operations), headers=XML_PATCH)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    patched = response.json()
    assert (patched["name"], patched["gender"], patched["birthDate"]) == ([{"family": "King"}], "female", "1984")
    assert weight in response.text
    assert response.headers["etag"] == 'W/"2"'
    headers = {**XML_PATCH, "Accept": "application/fhir+xml", "If-Match": 'W/"2"'}
    operations = '<replace sel="f:Patient/f:gender/@value">other</replace>'
    response = await client.patch(f"Patient?_id={key}", content=diff(operations), headers=headers)
    assert '<gender value="other"/>' in response.text


async def test_an_xml_patch_that_does_not_fit_is_refused(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    cases = [
        ('<remove sel="f:Patient/f:photo"/>', 422, "selects nothing"),
        ('<replace sel="f:Patient/f:id/@value">other</replace>', 422, "must not change id"),
        (
            '<add sel="f:Patient"><colour value="red"/></add>',
            422,
            "What the patch makes is no FHIR: <colour> is no element",
        ),
        ('<add sel="f:Patient">red</add>', 422, "There is text in <Patient>"),
        ('<replace sel="f:Patient"><Basic/></replace>', 422, "must not change resourceType"),
        ('<add sel="f:Patient"><gender value="mail"/></add>', 400, "AdministrativeGender"),
        ("<explode/>", 400, "XML Patch knows add, replace and remove"),
        ("<remove", 400, "not well-formed"),
    ]
    for operations, status, words in cases:
        response = await client.patch(f"Patient/{key}", content=diff(operations), headers=XML_PATCH)
        assert response.status_code == status, (operations, response.text)
        assert words in said(response)
    assert (await client.get(f"Patient/{key}")).headers["etag"] == 'W/"1"'


async def test_an_xml_patch_outdates_a_narrative_like_any_other(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Ada &#160;</p></div>'}
    await client.put(f"Patient/{key}", json=patient(id=key, text=text))
    told = '<add sel="f:Patient"><language value="en"/></add>'
    response = await client.patch(f"Patient/{key}", content=diff(told), headers=XML_PATCH)
    assert response.json()["text"] == text
    told = '<add sel="f:Patient"><active value="true"/></add>'
    response = await client.patch(f"Patient/{key}", content=diff(told), headers=XML_PATCH)
    assert "text" not in response.json()


async def test_an_xml_patch_travels_in_a_bundle(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    change = diff('<add sel="f:Patient"><active value="true"/></add>')
    binary = {
        "resourceType": "Binary",
        "contentType": "application/xml-patch+xml",
        "data": base64.b64encode(change.encode()).decode(),
    }
    entry = {"resource": binary, "request": {"method": "PATCH", "url": f"Patient/{key}"}}
    response = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert response.status_code == 200, response.text
    assert (await client.get(f"Patient/{key}")).json()["active"] is True
