"""Notifications by HTTP over real sockets, and subscribers that misbehave."""

import asyncio
from typing import Any

import pytest

from fhir_server.channels.rest_hook import RestHook
from fhir_server.model.channel import Notification, Undelivered
from fhir_server.outbound import Outbound
from tests.origins import OK, Answering, caller, flood, origin

BODY = b'{"resourceType":"Bundle","type":"history"}'
NOTIFICATION = Notification(
    "s1",
    "event-notification",
    "application/fhir+json",
    BODY,
    (("Authorization", "Bearer secret"), ("X-A", "1"), ("x-a", "2")),
    4,
    6,
    5.0,
)


def asked(**channel: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "channel": {"type": "rest-hook", "endpoint": "https://hooks.example/in", **channel},
    }


async def test_a_notification_is_posted_with_its_media_type_and_the_headers_of_the_subscription() -> None:
    async with origin(OK) as (port, seen), caller() as outbound:
        await RestHook(outbound).deliver(f"http://hooks.example:{port}/in?a=b", NOTIFICATION)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /in?a=b http/1.1"
    assert body == BODY
    assert {b"content-type: application/fhir+json", b"authorization: bearer secret", b"x-a: 1, 2"} <= set(lines)


async def test_without_a_payload_the_post_has_no_body() -> None:
    async with origin(OK) as (port, seen), caller() as outbound:
        await RestHook(outbound).deliver(
            f"http://hooks.example:{port}/in", Notification("s1", "event-notification", "", b"")
        )
    assert seen[0].endswith(b"\r\n\r\n")
    assert b"content-length: 0" in seen[0].lower()
    assert b"content-type" not in seen[0].lower()


async def test_the_resource_of_a_subscription_without_topic_is_put_below_the_service_base() -> None:
    notification = Notification("s1", "event-notification", "application/fhir+json", b"{}", path="Patient/7")
    async with origin(OK) as (port, seen), caller() as outbound:
        await RestHook(outbound).deliver(f"http://hooks.example:{port}/fhir/?tenant=a", notification)
    assert seen[0].startswith(b"PUT /fhir/Patient/7?tenant=a HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "why", "permanent"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "status 500", False),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "status 404", False),
        (b"HTTP/1.1 410 No\r\nContent-Length: 0\r\n\r\n", "status 410", True),
        (
            b"HTTP/1.1 307 No\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "Redirects are not",
            False,
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "failed", False),
    ],
)
async def test_what_the_subscriber_does_not_take_is_undelivered(answer: bytes, why: str, permanent: bool) -> None:
    async with origin(answer) as (port, seen), caller() as outbound:
        with pytest.raises(Undelivered, match=why) as raised:
            await RestHook(outbound).deliver(f"http://hooks.example:{port}/", NOTIFICATION)
    assert raised.value.permanent is permanent
    assert "secret" not in raised.value.reason
    assert len(seen) == 1


async def test_a_subscriber_that_hangs_or_floods_costs_no_more_than_its_time() -> None:
    answered: list[str] = []

    async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        answered.append("silent")

    async def dripping(request: bytes, writer: asyncio.StreamWriter) -> None:
        for _ in range(1000):
            writer.write(b"H")
            await asyncio.sleep(0.05)
        answered.append("dripping")

    cases: list[Answering] = [silent, dripping]
    for answer in cases:
        async with origin(answer) as (port, _), caller() as outbound:
            with pytest.raises(Undelivered, match=r"within 0\.3 seconds"):
                await RestHook(outbound).deliver(
                    f"http://hooks.example:{port}/", Notification("s", "heartbeat", "", b"", seconds=0.3)
                )
            assert not answered
    async with origin(flood) as (port, _), caller() as outbound:  # it said 200, and its gigabytes are left with it
        await RestHook(outbound).deliver(f"http://hooks.example:{port}/", NOTIFICATION)


async def test_ssrf_a_subscriber_that_moves_into_this_network_is_not_followed() -> None:
    async with origin(OK) as (port, seen), caller(development=False) as outbound:
        with pytest.raises(Undelivered, match="https"):
            await RestHook(outbound).deliver(f"http://hooks.example:{port}/", NOTIFICATION)
        with pytest.raises(Undelivered, match="public address"):
            await RestHook(outbound).deliver(f"https://hooks.example:{port}/", NOTIFICATION)
    assert seen == []


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ({"endpoint": ""}, "needs channel.endpoint"),
        ({"endpoint": "http://hooks.example/in"}, "https://"),
        ({"endpoint": "https://127.0.0.1/in"}, "public address"),
        ({"endpoint": "https://169.254.169.254/latest/meta-data"}, "public address"),
        ({"endpoint": "mailto:a@b.example"}, "absolute https URL"),
        ({"endpoint": "https://u:p@hooks.example/"}, "user name"),
        ({"header": ["Host: mongo.internal"]}, "belongs to the connection"),
        ({"header": ["Transfer-Encoding: chunked"]}, "belongs to the connection"),
        ({"header": ["X-A: b\r\nX-C: d"]}, "control characters"),
        ({"header": ["X A: b"]}, "not the name"),
        ({"header": ["Content-Type: text/html"]}, "channel.payload"),
        ({"header": ["X-A: " + "b" * 5000]}, "longer than"),
        ({"header": ["X-A: b"] * 21}, "more than 20"),
    ],
)
def test_what_cannot_be_delivered_is_refused_when_it_is_asked_for(channel: dict[str, Any], why: str) -> None:
    assert why in RestHook(Outbound()).refuse(asked(**channel))


def test_a_public_endpoint_is_not_refused() -> None:
    assert RestHook(Outbound()).refuse(asked(header=["Authorization: Bearer a", "X-Tenant: b"])) == ""
