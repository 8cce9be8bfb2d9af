"""Subscriptions to topics (Subscriptions R5 Backport 1.1.0): what subscribers are told, and how."""

import asyncio
from typing import Any

import httpx

from tests.notifications.subscriber import JSON, Json, Subscriber, events, eventually, focuses, observation, told


async def begun(client: httpx.AsyncClient, subscriber: Subscriber, name: str, *args: Any, **more: Any) -> str:
    """Return the id of a Subscription that has become active."""
    answer = await client.post("Subscription", json=subscriber.subscription(name, *args, **more))
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "requested"
    await subscriber.until(name, 1, "handshake")
    return str(answer.json()["id"])


async def created(client: httpx.AsyncClient, resource: Json) -> str:
    answer = await client.post(resource["resourceType"], json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


async def updated(client: httpx.AsyncClient, place: str, resource: Json) -> None:
    answer = await client.put(place, json={**resource, "id": place.split("/")[1]})
    assert answer.status_code in {200, 201}, answer.text


async def standing(client: httpx.AsyncClient, place: str, *statuses: str) -> Json:
    """Return a Subscription when it stands so."""
    async with asyncio.timeout(20):
        while (found := (await client.get(place)).json())["status"] not in statuses:  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.05)
    return dict(found)


async def test_a_subscriber_shakes_hands_and_is_told_of_what_changes(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    one = await begun(client, subscriber, "first", header=["X-Key: abc"])
    (hands,) = subscriber.of("first", "handshake")
    assert told(hands.bundle)["status"] == "requested"
    made = await created(client, observation("a"))
    (sent,) = await subscriber.until("first", 1)
    assert sent.headers["content-type"] == JSON
    assert sent.headers["x-key"] == "abc"
    assert sent.bundle["type"] == "history"
    first, focus = sent.bundle["entry"]
    assert first["request"] == {"method": "GET", "url": told(sent.bundle)["subscription"]["reference"] + "/$status"}
    assert told(sent.bundle)["status"] == "active"
    assert told(sent.bundle)["events-since-subscription-start"] == "1"
    assert focuses(sent.bundle) == [made]
    assert focus["fullUrl"].endswith(made)
    assert focus["request"] == {"method": "POST", "url": "Observation"}
    assert "resource" not in focus
    assert (await client.get(f"Subscription/{one}")).json()["status"] == "active"
    checked = await client.post("$validate", content=sent.body)
    assert [row for row in checked.json()["issue"] if row["severity"] in {"error", "fatal"}] == []


async def test_every_version_is_an_event_with_what_it_said_then(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    await begun(client, subscriber, "whole", content="full-resource", filters=("Observation?code=urn:codes|whole",))
    made = await created(client, observation("whole", valueString="1"))
    for value in ("2", "3"):
        await updated(client, made, observation("whole", valueString=value))
    await created(client, observation("other"))
    await client.delete(made)
    assert await subscriber.numbers("whole", 4) == [1, 2, 3, 4]
    entries = [entry for one in subscriber.of("whole") for entry in one.bundle["entry"][1:]]
    assert [entry["request"]["method"] for entry in entries] == ["POST", "PUT", "PUT", "DELETE"]
    assert [entry.get("resource", {}).get("valueString") for entry in entries] == ["1", "2", "3", None]
    assert [entry["resource"]["meta"]["versionId"] for entry in entries[:3]] == ["1", "2", "3"]


async def test_nothing_but_numbers_is_told_to_who_wants_no_more(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    await begun(client, subscriber, "empty", content="empty")
    await created(client, observation("b"))
    (sent,) = await subscriber.until("empty", 1)
    assert len(sent.bundle["entry"]) == 1
    assert set(events(sent.bundle)[0]) == {"event-number", "timestamp"}
    assert b"Observation" not in sent.body
    assert "topic" not in told(sent.bundle)


async def test_topics_tell_creations_updates_and_deletions_apart(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    for kind in ("create", "update", "delete"):
        await begun(client, subscriber, kind, f"urn:aquifer:topic:{kind}", ("Basic?code=urn:codes|kind",))
    basic = {"resourceType": "Basic", "code": {"coding": [{"system": "urn:codes", "code": "kind"}]}}
    made = await created(client, basic)
    await updated(client, made, {**basic, "language": "en"})
    await client.delete(made)
    await updated(client, made, basic)
    for kind, last in (("create", 2), ("update", 1), ("delete", 1)):
        assert await subscriber.numbers(kind, last) == [*range(1, last + 1)]
    methods = {kind: subscriber.of(kind)[0].bundle["entry"][1]["request"]["method"] for kind in ("create", "delete")}
    assert methods == {"create": "POST", "delete": "DELETE"}


async def test_admissions_are_told_when_an_encounter_begins_and_with_the_patient(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    patient = await created(client, {"resourceType": "Patient", "name": [{"family": "Ann"}]})
    other = await created(client, {"resourceType": "Patient"})
    await begun(
        client, subscriber, "admission", "http://hl7.org/SubscriptionTopic/admission", (f"Encounter?patient={patient}",)
    )
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}

    def encounter(status: str, whose: str) -> Json:
        return {"resourceType": "Encounter", "status": status, "class": coding, "subject": {"reference": whose}}

    made = await created(client, encounter("planned", patient))
    await updated(client, made, encounter("in-progress", patient))
    await updated(client, made, {**encounter("in-progress", patient), "language": "en"})
    await created(client, encounter("in-progress", other))
    again = await created(client, encounter("in-progress", patient))
    assert await subscriber.numbers("admission", 2) == [1, 2]
    assert [focus for one in subscriber.of("admission") for focus in focuses(one.bundle)] == [made, again]
    sent = subscriber.of("admission")[0]
    assert events(sent.bundle)[0]["additional-context"]["reference"].endswith(patient)
    assert [entry["fullUrl"].split("/")[-2] for entry in sent.bundle["entry"][1:3]] == ["Encounter", "Patient"]


async def test_notifications_are_written_as_xml_where_that_is_asked_for(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    answer = await client.post("Subscription", json=subscriber.subscription("xml", media="application/fhir+xml"))
    assert answer.status_code == 201
    await eventually(lambda: any(one.name == "xml" for one in subscriber.got))
    (sent,) = [one for one in subscriber.got if one.name == "xml"]
    assert sent.headers["content-type"] == "application/fhir+xml"
    assert sent.body.startswith(b"<")
    assert b'<valueCode value="handshake"/>' in sent.body


async def test_a_transaction_is_told_in_order_and_a_storm_without_gaps(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    extension = [{"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-max-count"}]
    extension[0]["valuePositiveInt"] = 7  # type: ignore[assignment] # a plain number
    await begun(client, subscriber, "storm", filters=("Observation?code=storm",), extension=extension)
    entries = [
        {"resource": observation("storm"), "request": {"method": "POST", "url": "Observation"}} for _ in range(10)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    singles = [created(client, observation("storm")) for _ in range(40)]
    await asyncio.gather(client.post("", json=bundle), *singles)
    assert await subscriber.numbers("storm", 50) == [*range(1, 51)]
    assert len({focus for one in subscriber.of("storm") for focus in focuses(one.bundle)}) == 50
    assert max(len(focuses(one.bundle)) for one in subscriber.of("storm")) <= 7
