"""Subscriptions of R4, whose criteria are a search: the resource is PUT to the endpoint, or nothing but a POST is sent."""

import httpx

from tests.notifications.subscriber import JSON, Subscriber, eventually, observation
from tests.notifications.test_topics import created, standing, updated


async def test_the_resource_is_put_below_the_endpoint(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = await created(
        client, subscriber.plain("plain", "Observation?code=urn:codes|plain&status=final", payload=JSON)
    )
    await standing(client, one, "active")
    made = await created(client, observation("plain"))
    await created(client, {**observation("plain"), "status": "preliminary"})
    await updated(client, made, {**observation("plain"), "language": "en"})
    await client.delete(made)
    again = await created(client, observation("plain"))
    await eventually(lambda: any(sent.name == f"plain/{again}" for sent in subscriber.got))
    sent = [one for one in subscriber.got if one.name.startswith("plain/")]
    assert [(one.method, one.name) for one in sent] == [
        ("PUT", f"plain/{made}"),
        ("PUT", f"plain/{made}"),
        ("PUT", f"plain/{again}"),
    ]
    assert [one.bundle["meta"]["versionId"] for one in sent] == ["1", "2", "1"]


async def test_without_a_payload_it_is_only_said_that_something_happened(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    one = await created(client, subscriber.plain("bare", "Observation?code=bare"))
    await standing(client, one, "active")
    await created(client, observation("bare"))
    await eventually(lambda: any(sent.name == "bare" for sent in subscriber.got))
    (sent,) = [one for one in subscriber.got if one.name == "bare"]
    assert (sent.method, sent.body) == ("POST", b"")
