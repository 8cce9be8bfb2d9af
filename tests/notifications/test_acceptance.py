"""Which Subscriptions are refused (422), and what the CapabilityStatement says of them."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.notifications.subscriber import GUIDE, Json, Subscriber

Change = Callable[[Json], Any]
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.topic"

REFUSED: dict[str, Change] = {
    "a topic that nobody offers": lambda one: one.update(criteria="http://example.org/topic"),
    "a type that there is not": lambda one: one["_criteria"]["extension"][0].update(valueString="Observations?code=1"),
    "a parameter that there is not": lambda one: one["_criteria"]["extension"][0].update(valueString="Observation?x=1"),
    "a value that cannot be": lambda one: one["_criteria"]["extension"][0].update(valueString="Observation?date=soon"),
    "a chain": lambda one: one["_criteria"]["extension"][0].update(valueString="Observation?patient.name=a"),
    "_has": lambda one: one["_criteria"]["extension"][0].update(valueString="Patient?_has:Observation:patient:code=1"),
    "a value set": lambda one: one["_criteria"]["extension"][0].update(valueString="Observation?code:in=http://x/y"),
    "what a page looks like": lambda one: one["_criteria"]["extension"][0].update(valueString="Observation?_count=1"),
    "a type that the topic is not about": lambda one: one.update(criteria="urn:aquifer:topic:encounter-start"),
    "no type where the topic is about all": lambda one: one.pop("_criteria"),
    "no level of content": lambda one: one["channel"].pop("_payload"),
    "another level of content": lambda one: one["channel"]["_payload"]["extension"][0].update(valueCode="most"),
    "no payload": lambda one: one["channel"].pop("payload"),
    "another payload": lambda one: one["channel"].update(payload="text/csv"),
    "a channel that there is not": lambda one: one["channel"].update(type="sms"),
    "a channel of its own": lambda one: one["channel"].update(
        _type={"extension": [{"url": f"{GUIDE}backport-channel-type", "valueCoding": {"code": "zulip"}}]}
    ),
    "no endpoint": lambda one: one["channel"].pop("endpoint"),
    "an endpoint inside of this network": lambda one: one["channel"].update(endpoint="https://10.0.0.1/hook"),
    "an endpoint of the cloud": lambda one: one["channel"].update(endpoint="http://169.254.169.254/latest/meta-data"),
    "an endpoint that is a file": lambda one: one["channel"].update(endpoint="file:///etc/passwd"),
    "a header in two lines": lambda one: one["channel"].update(header=["X: a\r\nHost: b"]),
    "an element of R5": lambda one: one.update(extension=[{"url": R5, "valueUri": "urn:aquifer:topic:change"}]),
    "an element of R5 inside": lambda one: one["channel"].update(
        extension=[
            {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.timeout", "valueUnsignedInt": 5}
        ]
    ),
    "an extension that the guide has not": lambda one: one["channel"].update(
        extension=[{"url": f"{GUIDE}backport-colour", "valueString": "red"}]
    ),
    "filters of a search": lambda one: one.update(criteria="Observation?code=1"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_it_is_refused(client: httpx.AsyncClient, subscriber: Subscriber, what: str) -> None:
    one = subscriber.subscription("refused")
    REFUSED[what](one)
    answer = await client.post("Subscription", json=one)
    assert answer.status_code == 422, answer.text
    (issue,) = answer.json()["issue"]
    assert issue["expression"][0].startswith("Subscription")
    assert len(issue["details"]["text"]) > 20


async def test_what_is_off_is_kept_whatever_it_says(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = {**subscriber.subscription("refused", "http://example.org/topic"), "status": "off"}
    answer = await client.post("Subscription", json=one)
    assert (answer.status_code, answer.json()["status"]) == (201, "off")


async def test_to_be_active_is_for_the_server_to_say(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = {**subscriber.subscription("eager"), "status": "active"}
    assert (await client.post("Subscription", json=one)).json()["status"] == "requested"


async def test_a_bundle_with_one_that_is_refused_is_refused(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    entries = [
        {
            "resource": {"resourceType": "Basic", "code": {"text": "kept?"}},
            "request": {"method": "POST", "url": "Basic"},
        },
        {"resource": subscriber.subscription("x", "urn:none"), "request": {"method": "POST", "url": "Subscription"}},
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 422, answer.text


async def test_the_capability_statement_lists_topics_profile_and_operations(client: httpx.AsyncClient) -> None:
    said = (await client.get("metadata")).json()
    assert (
        f"{GUIDE.removesuffix('StructureDefinition/')}CapabilityStatement/backport-subscription-server-r4"
        in said["instantiates"]
    )
    (row,) = [one for one in said["rest"][0]["resource"] if one["type"] == "Subscription"]
    assert f"{GUIDE}backport-subscription" in row["supportedProfile"]
    topics = [
        one["valueCanonical"]
        for one in row["extension"]
        if one["url"] == f"{GUIDE}capabilitystatement-subscriptiontopic-canonical"
    ]
    assert {"urn:aquifer:topic:change", "http://hl7.org/SubscriptionTopic/admission"} <= {*topics}
    assert {"status", "events", "get-ws-binding-token"} <= {one["name"] for one in row["operation"]}
    assert {"read", "create", "update", "delete", "search-type"} <= {one["code"] for one in row["interaction"]}
    assert {"url", "status"} <= {one["name"] for one in row["searchParam"]}
