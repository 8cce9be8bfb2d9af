"""XML in and out on every interaction (R4 2.6.1, 3.1.0.1.9): the same as JSON, and what cannot be read is refused in XML."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.http import xml as edge
from fhir_server.model import json
from profiles.definitions.registry import load
from profiles.xml.reader import Reader
from profiles.xml.writer import Writer
from tests.acceptance.exact import decode, without_server_owned
from tests.acceptance.test_examples_roundtrip import ARCHIVE, examples
from tests.interactions.conftest import patient

Fresh = Callable[[str], str]
Json = dict[str, Any]

DEFINITIONS = load()
READER, WRITER = Reader(DEFINITIONS), Writer(DEFINITIONS)
XML = "application/fhir+xml"
ANSWERED = f"{XML}; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
AS_XML = {"Content-Type": XML, "Accept": XML}


def read(response: httpx.Response) -> Json:
    """Return the resource in an answer, which is XML."""
    assert response.headers["content-type"] == ANSWERED, response.text
    assert response.content.startswith(b"<")
    return READER.read(response.content)


def refused(response: httpx.Response, status: int, words: str) -> Json:
    outcome = read(response)
    assert response.status_code == status, outcome
    assert outcome["resourceType"] == "OperationOutcome"
    assert any(words in issue["details"]["text"] for issue in outcome["issue"]), outcome
    issue: Json = outcome["issue"][0]
    return issue


async def test_what_was_written_as_xml_is_read_as_both(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("xml")
    sent = patient(
        id=key,
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Ada &amp; co</p></div>'},
        contained=[{"resourceType": "Organization", "id": "o", "name": "<Here>"}],
        extension=[{"url": "http://example.org/weight", "valueDecimal": 61}],
        managingOrganization={"reference": "#o"},
        _birthDate={"extension": [{"url": "http://example.org/why", "valueCode": "masked"}]},
    )
    body = WRITER.write(sent).replace(b'<valueDecimal value="61"/>', b'<valueDecimal value="61.50"/>')
    written = await client.put(f"Patient/{key}", content=body, headers=AS_XML)
    assert written.status_code == 201, written.text
    stored = read(written)
    assert {name: value for name, value in stored.items() if name not in {"meta", "extension"}} == {
        name: value for name, value in sent.items() if name != "extension"
    }
    as_json = await client.get(f"Patient/{key}")
    assert as_json.headers["content-type"].startswith("application/fhir+json")
    assert '"valueDecimal":61.50' in as_json.text
    as_xml = await client.get(f"Patient/{key}", headers={"Accept": XML})
    assert read(as_xml) == stored
    assert str(stored["extension"][0]["valueDecimal"]) == "61.50"
    for header in ("etag", "last-modified", "vary", "cache-control"):
        assert as_xml.headers[header] == as_json.headers[header]


@pytest.mark.parametrize(
    ("accept", "query"),
    [
        (XML, ""),
        ("application/xml", ""),
        ("text/xml; charset=utf-8", ""),
        ("application/fhir+xml; fhirVersion=4.0", ""),
        ("application/fhir+xml, */*;q=0.1", ""),
        ("application/fhir+xml, */*", ""),
        ("application/fhir+xml, application/fhir+json;q=0.9", ""),
        ("application/fhir+xml, application/fhir+json", ""),
        ("application/json;q=0, application/fhir+json;q=0, */*", ""),
        ("application/fhir+json", "_format=xml"),
        ("application/fhir+json", "_format=text/xml"),
        ("text/html", "_format=application/xml"),
        ("nonsense", "_format=application/fhir%2Bxml"),
        ("", "_format=application/fhir+xml"),
    ],
)
async def test_xml_goes_to_whoever_asks_for_it(client: httpx.AsyncClient, accept: str, query: str) -> None:
    response = await client.get(f"Organization/root?{query}", headers={"Accept": accept})
    assert read(response)["id"] == "root"


async def test_pretty_lays_xml_out(client: httpx.AsyncClient) -> None:
    plain = await client.get("Organization/root?_format=xml")
    pretty = await client.get("Organization/root?_format=xml&_pretty=true")
    assert b"\n" not in plain.content
    assert b'\n  <id value="root"/>\n' in pretty.content
    assert read(plain) == read(pretty)


async def test_a_body_in_xml_is_answered_in_xml_where_the_client_does_not_say(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("xml")
    body = WRITER.write(patient(id=key))
    for accept in ("", "*/*", "application/*"):
        response = await client.put(f"Patient/{key}", content=body, headers={"Content-Type": XML, "Accept": accept})
        assert read(response)["id"] == key
    as_json = {"Content-Type": XML, "Accept": "application/fhir+json"}
    response = await client.put(f"Patient/{key}", content=body, headers=as_json)
    assert response.json()["id"] == key


@pytest.mark.parametrize(
    "media", [XML, "application/xml", "text/xml", "application/fhir+xml; charset=UTF-8; fhirVersion=4.0"]
)
async def test_every_media_type_of_xml_is_read(client: httpx.AsyncClient, fresh: Fresh, media: str) -> None:
    key = fresh("xml")
    response = await client.put(
        f"Patient/{key}", content=WRITER.write(patient(id=key)), headers={"Content-Type": media}
    )
    assert response.status_code == 201, response.text


async def test_every_interaction_answers_in_xml(client: httpx.AsyncClient, fresh: Fresh) -> None:
    family = fresh("Xml")
    accept = {"Accept": XML}
    body = WRITER.write(patient(name=[{"family": family}]))
    created = await client.post("Patient", content=body, headers=AS_XML)
    assert created.status_code == 201
    key = read(created)["id"]
    again = await client.post("Patient", content=body, headers={**AS_XML, "If-None-Exist": f"family={family}"})
    assert (again.status_code, read(again)["id"]) == (200, key)
    told = await client.post("Patient", content=body, headers={**AS_XML, "Prefer": "return=OperationOutcome"})
    assert read(told)["resourceType"] == "OperationOutcome"
    assert (
        await client.delete(f"Patient/{told.headers['location'].split('/')[-3]}", headers=accept)
    ).status_code == 204
    updated = await client.put(f"Patient?family={family}", content=body, headers=AS_XML)
    assert (updated.status_code, read(updated)["id"]) == (200, key)
    head = await client.head(f"Patient/{key}", headers=accept)
    one = await client.get(f"Patient/{key}", headers=accept)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(one.content)))
    assert (
        await client.get(f"Patient/{key}", headers={**accept, "If-None-Match": one.headers["etag"]})
    ).status_code == 304
    assert read(await client.get(f"Patient/{key}/_history/1", headers=accept))["meta"]["versionId"] == "1"
    for url, kind in (
        (f"Patient?family={family}", "searchset"),
        (f"Patient?family={family}&_summary=count", "searchset"),
        (f"?_type=Patient&_id={key}", "searchset"),
        (f"Patient/{key}/Observation", "searchset"),
        (f"Patient/{key}/_history", "history"),
        ("Patient/_history?_count=2", "history"),
        ("_history?_count=2", "history"),
    ):
        response = await client.get(url, headers=accept)
        bundle = read(response)
        assert (response.status_code, bundle["type"]) == (200, kind), url
        as_json = (await client.get(url)).json()
        for each in (bundle, as_json):
            each.pop("id")
            each.pop("meta", None)
            each["link"] = each["link"][:1]  # a cursor to the next page is another one every time
        assert bundle == as_json, url
    found = await client.post(
        "Patient/_search", data={"family": family, "_format": "xml"}, headers={"Content-Type": FORM}
    )
    assert [entry["resource"]["id"] for entry in read(found)["entry"]] == [key]
    assert (
        read(await client.get(f"Patient/{key}?_summary=true", headers=accept))["meta"]["tag"][0]["code"] == "SUBSETTED"
    )


async def test_the_links_of_a_search_keep_the_format(client: httpx.AsyncClient, fresh: Fresh) -> None:
    family = fresh("Pages")
    for _ in range(3):
        await client.post("Patient", content=WRITER.write(patient(name=[{"family": family}])), headers=AS_XML)
    for url, total in (
        (f"Patient?family={family}&_count=2&_format=xml", 3),
        ("Organization/root/_history?_count=1&_format=xml", 1),
    ):
        seen = 0
        following = url
        while following:
            page = read(await client.get(following))
            seen += len(page["entry"])
            following = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        assert seen == total


async def test_the_capability_statement_says_so_in_xml(client: httpx.AsyncClient) -> None:
    statement = read(await client.get("metadata", headers={"Accept": XML}))
    assert statement["resourceType"] == "CapabilityStatement"
    assert {"application/fhir+xml", "xml"} <= set(statement["format"])
    as_json = (await client.get("metadata")).json()
    assert as_json == statement


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_bundles_are_processed(client: httpx.AsyncClient, fresh: Fresh, kind: str) -> None:
    urn, key = "urn:uuid:00000000-0000-4000-8000-000000000001", fresh("xml")
    bundle = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {
                "fullUrl": urn,
                "resource": patient(),
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {"resourceType": "Basic", "id": key, "code": {"text": "a\nb"}},
                "request": {"method": "PUT", "url": f"Basic/{key}"},
            },
            {
                "request": {
                    "method": "GET",
                    "url": "Patient/none-of-that-name" if kind == "batch" else "Organization/root",
                }
            },
        ],
    }
    if kind == "transaction":
        bundle["entry"][1]["resource"]["subject"] = {"reference": urn}  # type: ignore[index]
    response = read(await client.post("", content=WRITER.write(bundle), headers=AS_XML))
    assert response["type"] == f"{kind}-response"
    assert [entry["response"]["status"][:3] for entry in response["entry"]] == [
        "201", "201", "404" if kind == "batch" else "200"
    ]  # fmt: skip
    stored = (await client.get(f"Basic/{key}")).json()
    assert stored["code"]["text"] == "a\nb"
    if kind == "transaction":
        assert stored["subject"]["reference"] == response["entry"][0]["response"]["location"].split("/_history")[0]
    else:
        assert response["entry"][2]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_operations_take_and_give_parameters(client: httpx.AsyncClient, fresh: Fresh) -> None:
    family = fresh("Match")
    await client.post(
        "Patient", content=WRITER.write(patient(name=[{"family": family}], birthDate="1984-07-09")), headers=AS_XML
    )
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": patient(name=[{"family": family}], birthDate="1984-07-09")},
            {"name": "count", "valueInteger": 1},
        ],
    }
    found = read(await client.post("Patient/$match", content=WRITER.write(asked), headers=AS_XML))
    assert found["entry"][0]["resource"]["name"] == [{"family": family}]
    refused(await client.post("Patient/$match", content=b"<x/>", headers=AS_XML), 400, "<x> is no resource of FHIR R4")


async def test_a_binary_is_xml_json_or_itself(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key, content = fresh("bin"), b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>"
    binary = {
        "resourceType": "Binary",
        "id": key,
        "contentType": "text/xml",
        "data": base64.b64encode(content).decode(),
    }
    assert (await client.put(f"Binary/{key}", content=WRITER.write(binary), headers=AS_XML)).status_code == 201
    for accept in ("", "*/*", "image/png"):
        itself = await client.get(f"Binary/{key}", headers={"Accept": accept})
        assert (itself.content, itself.headers["content-type"]) == (content, "text/xml")
    as_xml = read(await client.get(f"Binary/{key}", headers={"Accept": XML}))
    as_json = (await client.get(f"Binary/{key}", headers={"Accept": "application/fhir+json"})).json()
    assert as_xml == as_json
    assert as_xml["data"] == binary["data"]
    assert read(await client.get(f"Binary/{key}?_format=xml")) == as_xml
    refused(await client.get("Binary/none-of-that-name", headers={"Accept": XML}), 404, "none-of-that-name")
    # XML that is not FHIR's is content; as a body it would be taken for a resource, so it is told how to come.
    wrong = await client.post("Binary", content=content, headers={"Content-Type": "text/xml", "Accept": XML})
    refused(wrong, 400, "its namespace is 'urn:hl7-org:v3'")


# Refusals


async def test_refusals_are_in_xml_where_xml_was_asked_for(client: httpx.AsyncClient) -> None:
    accept = {"Accept": XML}
    refused(await client.get("Patient/none-of-that-name", headers=accept), 404, "none-of-that-name")
    refused(await client.get("Patients", headers=accept), 404, "is not a resource type")
    refused(await client.get("Patient?colour=red", headers=accept), 400, "colour")
    refused(await client.get("Patient?colour=red&_format=xml"), 400, "colour")
    refused(await client.get("Patient//1?_format=xml"), 400, "empty segment")
    refused(await client.get("Patient/%ff", headers=accept), 400, "UTF-8")
    refused(await client.request("PURGE", "Patient/1", headers=accept), 405, "not known here")
    refused(await client.delete("metadata", headers=accept), 405, "Use GET")
    refused(await client.get("Patient/1?_format=ttl", headers=accept), 406, "_format 'ttl'")
    refused(await client.get("Patient/1?_format=xml&_pretty=maybe"), 400, "_pretty")
    turtle = await client.get("Patient/1?_format=ttl")
    assert (turtle.status_code, turtle.headers["content-type"][:21]) == (406, "application/fhir+json")


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        ("application/fhir+xml; charset=iso-8859-1", "UTF-8"),
        ("application/fhir+xml; fhirVersion=3.0", "FHIR 4.0, not '3.0'"),
        ("application/xhtml+xml", "application/fhir+xml"),
        ("application/xml-dtd", "application/fhir+xml"),
    ],
)
async def test_other_bodies_are_refused_in_the_form_that_was_asked_for(
    client: httpx.AsyncClient, content_type: str, words: str
) -> None:
    headers = {"Content-Type": content_type, "Accept": XML}
    response = await client.post("Patient", content=WRITER.write(patient()), headers=headers)
    refused(response, 415, words)
    assert "application/fhir+xml" in response.headers["accept"]


@pytest.mark.parametrize(
    ("body", "words", "expression"),
    [
        ("<Patient", "Line 1, column 1: This is not well-formed XML", None),
        ('<Patient xmlns="http://hl7.org/fhir"><nmae/></Patient>', "did you mean 'name'", ["Patient"]),
        (
            '<Patient xmlns="http://hl7.org/fhir"><gender value="m"/></Patient>',
            "AdministrativeGender",
            ["Patient.gender"],
        ),
        ('<Patient xmlns="http://hl7.org/fhir"><gender value=""/></Patient>', "", ["Patient.gender"]),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Patient xmlns="http://hl7.org/fhir"/>', "document type declaration", None),
        ('<Basic xmlns="http://hl7.org/fhir"/>', "The body is a Basic, but the URL is for Patient", ["resourceType"]),
        ("{}", "not well-formed XML", None),
    ],
)
async def test_what_is_wrong_with_a_body_is_told_in_xml(
    client: httpx.AsyncClient, body: str, words: str, expression: list[str] | None
) -> None:
    response = await client.post("Patient", content=body.encode(), headers={"Content-Type": XML})
    issue = refused(response, 400, words)
    assert issue.get("expression") == expression


async def test_large_bodies_are_read_and_written_beside_the_event_loop(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key, text = fresh("large"), "word " * edge.OFF_LOOP
    sent = {"resourceType": "Basic", "id": key, "code": {"text": text}}
    answers = await asyncio.gather(
        client.put(f"Basic/{key}", content=WRITER.write(sent), headers=AS_XML),
        client.get("Organization/root", headers={"Accept": XML}),
    )
    assert read(answers[0])["code"]["text"] == text
    assert read(answers[1])["id"] == "root"


async def test_official_examples_are_stored_from_xml_as_from_json(client: httpx.AsyncClient, test_data: Path) -> None:
    """A few of many types; that all of them come back is tested without a server (test_writer)."""
    names = {
        "Bundle-bundle-example.json",
        "Medication-med0301.json",
        "Observation-decimal.json",
    }
    count = 0
    for name, raw in examples(test_data / ARCHIVE):
        if name in names:
            sent = decode(raw)
            url = f"{sent['resourceType']}/{sent['id']}"
            body = WRITER.write(json.decode(raw))
            written = await client.put(url, content=body, headers=AS_XML)
            assert written.status_code == 201, written.text
            back = await client.get(url)
            assert without_server_owned(decode(back.content)) == without_server_owned(sent), name
            count += 1
    assert count == len(names)
