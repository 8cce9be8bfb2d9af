"""What references in a transaction lead to (R4 3.1.0.11.2, Bundle "Resolving references in Bundles")."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.interactions.conftest import patient, said
from tests.interactions.test_batch import entry
from tests.interactions.test_transaction import observation, transaction

Fresh = Callable[[str], str]
FOREIGN = "http://example.org/fhir/Patient/1"
URN, OTHER = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059"


async def sent(client: httpx.AsyncClient, *entries: Any) -> list[str]:
    """Send a transaction; return `Type/id` of what each entry stored."""
    response = await client.post("", json=transaction(*entries))
    assert response.status_code == 200, response.text
    return [row["response"]["location"].partition("/_history")[0] for row in response.json()["entry"]]


async def subject(client: httpx.AsyncClient, url: str) -> str:
    found: str = (await client.get(url)).json()["subject"]["reference"]
    return found


async def test_a_foreign_full_url_is_an_identity_like_any_other(client: httpx.AsyncClient) -> None:
    owner, referrer = await sent(
        client,
        {"fullUrl": FOREIGN, **entry("POST", "Patient", patient())},
        entry("POST", "Observation", observation(FOREIGN)),
    )
    assert await subject(client, referrer) == owner
    assert owner != "Patient/1"


async def test_a_relative_reference_is_relative_to_the_full_url_of_its_entry(client: httpx.AsyncClient) -> None:
    owner, referrer, stranger = await sent(
        client,
        {"fullUrl": FOREIGN, **entry("POST", "Patient", patient())},
        {
            "fullUrl": "http://example.org/fhir/Observation/7",
            **entry("POST", "Observation", observation("Patient/1")),
        },
        {"fullUrl": "http://elsewhere.org/fhir/Patient/1", **entry("POST", "Patient", patient())},
    )
    assert await subject(client, referrer) == owner != stranger


async def test_a_relative_reference_without_a_base_leads_to_this_server(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    _, referrer, local = await sent(
        client,
        {"fullUrl": f"http://example.org/fhir/Patient/{key}", **entry("POST", "Patient", patient())},
        {"fullUrl": URN, **entry("POST", "Observation", observation(f"Patient/{key}"))},
        entry("POST", "Observation", observation(f"Patient/{key}")),
    )
    assert await subject(client, referrer) == await subject(client, local) == f"Patient/{key}"


async def test_our_own_base_is_no_exception(client: httpx.AsyncClient, fresh: Fresh) -> None:
    own = f"http://localhost/fhir/Patient/{fresh('p')}"
    owner, absolute, relative = await sent(
        client,
        {"fullUrl": own, **entry("POST", "Patient", patient())},
        entry("POST", "Observation", observation(own)),
        entry("POST", "Observation", observation(own.removeprefix("http://localhost/fhir/"))),
    )
    assert await subject(client, absolute) == await subject(client, relative) == owner


async def test_version_specific_references_stay_so(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    base = "http://example.org/fhir"
    created, updated, first, second, third = await sent(
        client,
        {"fullUrl": FOREIGN, **entry("POST", "Patient", patient())},
        {"fullUrl": f"{base}/Patient/{key}", **entry("PUT", f"Patient/{key}", patient(id=key))},
        entry("POST", "Observation", observation(f"{FOREIGN}/_history/9")),
        {"fullUrl": f"{base}/Observation/1", **entry("POST", "Observation", observation(f"Patient/{key}/_history/7"))},
        entry("POST", "Observation", observation(f"Patient/{key}/_history/1")),
    )
    assert await subject(client, first) == f"{created}/_history/1"
    assert await subject(client, second) == f"{updated}/_history/2"
    assert await subject(client, third) == f"Patient/{key}/_history/1"  # of this server, so it is not the bundle's


async def test_a_stated_version_must_be_the_one_that_is_meant(client: httpx.AsyncClient) -> None:
    body = patient(meta={"versionId": "4"})
    owner, same, another = await sent(
        client,
        {"fullUrl": FOREIGN, **entry("POST", "Patient", body)},
        entry("POST", "Observation", observation(f"{FOREIGN}/_history/4")),
        entry("POST", "Observation", observation(f"{FOREIGN}/_history/3")),
    )
    assert await subject(client, same) == f"{owner}/_history/1"
    assert await subject(client, another) == f"{FOREIGN}/_history/3"


async def test_names_are_no_links(client: httpx.AsyncClient, fresh: Fresh) -> None:
    name = f"http://example.org/fhir/ValueSet/{fresh('v')}"
    system = f"http://example.org/fhir/CodeSystem/{fresh('c')}"
    extension = f"http://example.org/fhir/StructureDefinition/{fresh('e')}"
    definition = {
        "resourceType": "ValueSet",
        "status": "draft",
        "url": name,
        "extension": [{"url": extension, "valueUri": name}],
        "compose": {"include": [{"system": system}, {"valueSet": [name]}]},
    }
    code_system = {"resourceType": "CodeSystem", "status": "draft", "content": "complete", "url": system}
    basic = {"resourceType": "Basic", "code": {"text": "x"}}
    stored, *_ = await sent(
        client,
        {"fullUrl": name, **entry("POST", "ValueSet", definition)},
        {"fullUrl": system, **entry("POST", "CodeSystem", code_system)},
        {"fullUrl": extension, **entry("POST", "Basic", basic)},
    )
    read = (await client.get(stored)).json()
    assert read["url"] == name
    assert read["compose"] == definition["compose"]
    assert read["extension"] == [{"url": extension, "valueUri": stored}]


async def test_links_to_attachments_and_in_lists_are_rewritten(client: httpx.AsyncClient) -> None:
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"display": "x"},
        "instantiatesUri": ["http://x.org", URN],
        "extension": [{"url": "http://x.org/a", "valueAttachment": {"url": URN}}],
    }
    content, stored = await sent(
        client, {"fullUrl": URN, **entry("POST", "Binary", binary)}, entry("POST", "CarePlan", plan)
    )
    read = (await client.get(stored)).json()
    assert read["instantiatesUri"] == ["http://x.org", content]
    assert read["extension"][0]["valueAttachment"]["url"] == content


async def test_narrative_links_are_resolved_like_references(client: httpx.AsyncClient) -> None:
    links = f'<a href="Patient/1">a</a><img src="{FOREIGN}/_history/3" alt="b"/><a href="{FOREIGN}#c">c</a><a href="#d">d</a>'
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{links}</div>'
    body = observation(FOREIGN, text={"status": "generated", "div": div})
    owner, referrer = await sent(
        client,
        {"fullUrl": FOREIGN, **entry("POST", "Patient", patient())},
        {"fullUrl": "http://example.org/fhir/Observation/7", **entry("POST", "Observation", body)},
    )
    div = (await client.get(referrer)).json()["text"]["div"]
    for link in (f'href="{owner}"', f'src="{owner}/_history/1"', f'href="{owner}#c"', 'href="#d"'):
        assert link in div


async def test_a_bundle_inside_of_the_bundle_keeps_its_own_references(client: httpx.AsyncClient) -> None:
    inner = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": URN, "resource": patient(id="1")},
            {"fullUrl": OTHER, "resource": observation(URN, id="2")},
        ],
    }
    _, stored = await sent(
        client, {"fullUrl": URN, **entry("POST", "Patient", patient())}, entry("POST", "Bundle", inner)
    )
    assert (await client.get(stored)).json()["entry"] == inner["entry"]


async def test_a_conditional_reference_finds_what_the_bundle_writes(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """The specification resolves conditional references last, so entries may even wait for each other in a chain."""
    key = fresh("mrn")
    identifier = [{"system": "urn:mrn", "value": key}]
    find = f"?identifier=urn:mrn|{key}"
    encounter = {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "identifier": identifier,
        "subject": {"reference": f"Patient{find}"},
    }
    body = observation(URN, encounter={"reference": f"Encounter{find}"})
    report, visit, owner = await sent(
        client,
        entry("POST", "Observation", body),
        entry("POST", "Encounter", encounter),
        {"fullUrl": URN, **entry("POST", "Patient", patient(identifier=identifier))},
    )
    read = (await client.get(report)).json()
    assert (read["encounter"]["reference"], read["subject"]["reference"]) == (visit, owner)
    assert await subject(client, visit) == owner


async def test_a_conditional_reference_must_find_one_when_all_is_written(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("mrn")
    identifier = [{"system": "urn:mrn", "value": key}]
    find = f"Patient?identifier=urn:mrn|{key}"
    linked = patient(identifier=identifier, link=[{"other": {"reference": find}, "type": "seealso"}])
    ring = await client.post("", json=transaction(entry("POST", "Patient", linked)))
    assert ring.status_code == 412
    assert ring.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.link[0].other.reference"]

    await client.post("Patient", json=patient(identifier=identifier))
    for body in (linked, patient(identifier=identifier)):  # either way there are two in the end
        response = await client.post(
            "", json=transaction(entry("POST", "Patient", body), entry("POST", "Observation", observation(find)))
        )
        assert response.status_code == 412, response.text
        assert "more than one" in said(response)


async def test_a_conditional_reference_that_cannot_be_searched_is_located(client: httpx.AsyncClient) -> None:
    for text in ("Foo?identifier=1", "Patient?foo=1", "Patient?", "Patient?identifier=1&_count=1"):
        response = await client.post("", json=transaction(entry("POST", "Observation", observation(text))))
        assert response.status_code == 400, text
        assert response.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.subject.reference"]


async def test_a_reference_to_what_the_bundle_deletes_is_refused_at_once(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    response = await client.post(
        "",
        json=transaction(
            entry("DELETE", f"Patient/{key}"), entry("POST", "Observation", observation(f"Patient/{key}"))
        ),
    )
    assert response.status_code == 422
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.subject.reference"]
    assert (await client.get(f"Patient/{key}")).status_code == 200


async def test_a_conditional_deletion_may_take_its_referrers_along(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, identifier=[{"value": key}]))
    referrer = (await client.post("Observation", json=observation(f"Patient/{key}"))).json()["id"]
    deletion = entry("DELETE", f"Patient?identifier={key}")
    assert (await client.post("", json=transaction(deletion))).status_code == 409
    both = await client.post("", json=transaction(deletion, entry("DELETE", f"Observation/{referrer}")))
    assert both.status_code == 200, both.text


async def test_a_conditional_deletion_that_races_with_a_reference_leaves_none_dangling(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    for _ in range(10):
        key = fresh("p")
        await client.put(f"Patient/{key}", json=patient(id=key, identifier=[{"value": key}]))
        first, deletion, second = await asyncio.gather(
            client.post("Observation", json=observation(f"Patient/{key}")),
            client.post("", json=transaction(entry("DELETE", f"Patient?identifier={key}"))),
            client.post("", json=transaction(entry("POST", "Observation", observation(f"Patient/{key}")))),
        )
        made = 201 in {first.status_code, second.status_code + 1}
        assert deletion.status_code == (409 if made else 200)


@pytest.mark.parametrize("by", ["id", "condition"])
async def test_a_conditional_create_does_not_count_on_what_is_deleted(
    client: httpx.AsyncClient, fresh: Fresh, by: str
) -> None:
    key = fresh("p")
    body = patient(identifier=[{"value": key}])
    await client.put(f"Patient/{key}", json={**body, "id": key})
    create = {"fullUrl": URN, **entry("POST", "Patient", body, ifNoneExist=f"identifier={key}")}
    deletion = entry("DELETE", f"Patient/{key}" if by == "id" else f"Patient?identifier={key}")
    response = await client.post("", json=transaction(create, deletion, entry("POST", "Observation", observation(URN))))
    assert [row["response"]["status"][:3] for row in response.json()["entry"]] == ["201", "204", "201"], response.text
    assert (await client.get(f"Patient/{key}")).status_code == 410
    left = (await client.get("Patient", params={"identifier": key})).json()["entry"]
    assert [row["fullUrl"].rpartition("/")[2] for row in left] != [key]
    subject = f"Patient/{left[0]['resource']['id']}"
    assert (await client.get("Observation", params={"subject": subject})).json()["total"] == 1


async def test_only_a_deletion_and_a_create_may_share_a_condition(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    body = patient(identifier=[{"value": key}])
    create = entry("POST", "Patient", body, ifNoneExist=f"identifier={key}")
    url = f"Patient?identifier={key}"
    for others in (
        [create, create],
        [entry("PUT", url, body), create],
        [entry("DELETE", url), entry("PUT", url, body)],
    ):
        response = await client.post("", json=transaction(*others))
        assert response.status_code == 400
        assert "same condition" in said(response)
