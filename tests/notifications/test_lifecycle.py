"""How Subscriptions come to stand, and what is told of them: handshakes, failures, retries, heartbeats, ends; $status and $events."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from tests.notifications.subscriber import GUIDE, Sent, Subscriber, focuses, numbers, observation, told
from tests.notifications.test_topics import begun, created, standing, updated


async def test_without_a_handshake_it_is_in_error_and_stays_so_until_its_owner_asks_again(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    subscriber.status = lambda sent: 500 if sent.name == "deaf" else 200
    resource = subscriber.subscription("deaf", filters=("Observation?code=deaf",))
    place = await created(client, resource)
    found = await standing(client, place, "error")
    assert "500" in found["error"]
    made = await created(client, observation("deaf"))
    subscriber.status = lambda _: 200
    bundle = (await client.get(f"{place}/$status")).json()
    row = bundle["entry"][0]["resource"]
    assert bundle["type"] == "searchset"
    names = {one["name"] for one in row["parameter"]}
    assert {"subscription", "topic", "status", "type", "events-since-subscription-start", "error"} <= names
    await updated(client, place, {**found, "status": "requested"})
    await standing(client, place, "active")
    # Events went on to be counted, and none is lost.
    assert await subscriber.numbers("deaf", 1) == [1]
    assert focuses(subscriber.of("deaf")[0].bundle) == [made]
    assert "error" not in (await client.get(place)).json()


async def test_what_is_not_taken_is_sent_again_and_nothing_overtakes_it(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    await begun(client, subscriber, "flaky", filters=("Observation?code=flaky",))
    refused: list[Sent] = []

    def status(sent: Sent) -> int:
        if sent.name == "flaky" and len(refused) < 2:
            refused.append(sent)
            return 503
        return 200

    subscriber.status = status
    for _ in range(3):
        await created(client, observation("flaky"))
    assert await subscriber.numbers("flaky", 3) == [1, 2, 3]
    assert len(refused) == 2
    assert numbers(refused[0].bundle)[0] == 1


async def test_who_is_gone_for_good_is_not_asked_again(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = await begun(client, subscriber, "gone", filters=("Observation?code=gone",))
    subscriber.status = lambda sent: 410 if sent.name == "gone" else 200
    await created(client, observation("gone"))
    assert "410" in (await standing(client, f"Subscription/{one}", "error"))["error"]
    subscriber.status = lambda _: 200


async def test_one_that_hangs_delays_nobody_else(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    timeout = [{"url": f"{GUIDE}backport-timeout", "valueUnsignedInt": 1}]
    await begun(client, subscriber, "hanging", filters=("Observation?code=hang",), extension=timeout)
    await begun(client, subscriber, "quick", filters=("Observation?code=hang",))
    held = asyncio.Event()

    async def hang() -> int:
        await held.wait()
        return 200

    subscriber.status = lambda sent: hang() if sent.name == "hanging" else 200
    await created(client, observation("hang"))
    await subscriber.until("quick", 1)
    assert subscriber.of("hanging") == []
    subscriber.status = lambda _: 200
    assert await subscriber.numbers("hanging", 1) == [1]
    held.set()


async def test_heartbeats_are_sent_while_nothing_happens(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    period = [{"url": f"{GUIDE}backport-heartbeat-period", "valueUnsignedInt": 5}]
    await begun(client, subscriber, "beat", filters=("Observation?code=never",), extension=period)
    (beat,) = (await subscriber.until("beat", 1, "heartbeat"))[:1]
    assert told(beat.bundle)["events-since-subscription-start"] == "0"
    assert len(beat.bundle["entry"]) == 1


async def test_it_ends_by_itself_and_by_its_owner(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    answer = await client.post("Subscription", json={**subscriber.subscription("ends"), "end": soon})
    place = f"Subscription/{answer.json()['id']}"
    other = await begun(client, subscriber, "switched-off", filters=("Observation?code=off",))
    resource = (await client.get(f"Subscription/{other}")).json()
    await updated(client, f"Subscription/{other}", {**resource, "status": "off"})
    await standing(client, place, "off")
    await created(client, observation("off"))
    await updated(client, f"Subscription/{other}", {**resource, "status": "requested"})
    await standing(client, f"Subscription/{other}", "active")
    made = await created(client, observation("off"))
    assert await subscriber.numbers("switched-off", 1) == [1]
    assert focuses(subscriber.of("switched-off")[0].bundle) == [made]


async def test_a_change_of_its_criteria_holds_from_then_on(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = await begun(client, subscriber, "changing", filters=("Observation?code=before",))
    place = f"Subscription/{one}"
    first = await created(client, observation("before"))
    await updated(client, place, subscriber.subscription("changing", filters=("Observation?code=after",)))
    await created(client, observation("before"))
    second = await created(client, observation("after"))
    assert await subscriber.numbers("changing", 2) == [1, 2]
    assert [focus for sent in subscriber.of("changing") for focus in focuses(sent.bundle)] == [first, second]
    # What comes at the same time as a change is told by what held when it came.
    await asyncio.gather(
        *(created(client, observation("after")) for _ in range(10)),
        updated(
            client, place, {**subscriber.subscription("changing", filters=("Observation?code=after",)), "reason": "x"}
        ),
    )
    assert await subscriber.numbers("changing", 12) == [*range(1, 13)]


async def test_events_are_told_once_more(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    one = await begun(client, subscriber, "again", filters=("Observation?code=again",), content="full-resource")
    made = [await created(client, observation("again")) for _ in range(4)]
    await subscriber.numbers("again", 4)
    bundle = (await client.get(f"Subscription/{one}/$events?eventsSinceNumber=2&eventsUntilNumber=3")).json()
    assert bundle["type"] == "history"
    assert told(bundle)["type"] == "query-event"
    assert told(bundle)["events-since-subscription-start"] == "4"
    assert (numbers(bundle), focuses(bundle)) == ([2, 3], made[1:3])
    assert len([entry for entry in bundle["entry"][1:] if "resource" in entry]) == 2
    less = (await client.get(f"Subscription/{one}/$events?content=empty")).json()
    assert len(less["entry"]) == 1
    for bad in ("eventsSinceNumber=x", "content=all", "eventsSinceNumber=-1"):
        assert (await client.get(f"Subscription/{one}/$events?{bad}")).status_code == 400
    assert (await client.get("Subscription/nobody/$events")).status_code == 404
    listed = (await client.get(f"Subscription/$status?id={one}&status=active")).json()
    assert [told({"entry": [row]})["type"] for row in listed["entry"]] == ["query-status"]
    assert (await client.get(f"Subscription/$status?id={one}&status=off")).json()["total"] == 0


async def test_a_deleted_one_is_told_of_nothing_and_leaves_nothing_to_its_successor(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    one = await begun(client, subscriber, "life", filters=("Observation?code=life",))
    await created(client, observation("life"))
    await subscriber.numbers("life", 1)
    assert (await client.delete(f"Subscription/{one}")).status_code == 204
    await created(client, observation("life"))
    assert (await client.get(f"Subscription/{one}/$status")).status_code == 410
    await updated(
        client, f"Subscription/{one}", subscriber.subscription("after-life", filters=("Observation?code=life",))
    )
    await subscriber.until("after-life", 1, "handshake")
    made = await created(client, observation("life"))
    assert await subscriber.numbers("after-life", 1) == [1]
    assert focuses(subscriber.of("after-life")[0].bundle) == [made]
    assert len(subscriber.of("life")) == 1


async def test_a_connection_is_bound_by_a_token_of_its_own(client: httpx.AsyncClient, subscriber: Subscriber) -> None:
    resource = subscriber.subscription("socket")
    resource["channel"] = {**resource["channel"], "type": "websocket"}
    del resource["channel"]["endpoint"]
    place = await created(client, resource)
    await standing(client, place, "active")
    answer = await client.get(f"{place}/$get-ws-binding-token")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    rows = {row["name"]: row for row in answer.json()["parameter"]}
    assert rows["subscription"]["valueString"] == place
    assert rows["websocket-url"]["valueUrl"].startswith("ws://")
    assert len(rows["token"]["valueString"]) >= 32
    hook = await begun(client, subscriber, "no-socket")
    assert (await client.get(f"Subscription/{hook}/$get-ws-binding-token")).status_code == 404


async def test_one_whose_end_is_over_is_off_and_nobody_is_asked(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    place = await created(client, {**subscriber.subscription("too-late"), "end": "2021-01-01T00:00:00Z"})
    await standing(client, place, "off")
    assert subscriber.of("too-late", "handshake") == []
