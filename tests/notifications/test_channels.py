"""Subscriptions over each channel, the whole way; and subscribers who do others no harm."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.notifications import engine
from fhir_server.settings import Jobs, Messages, Settings
from fhir_server.settings.channels import Channels
from fhir_server.settings.outbound import Outbound
from tests.channels.brokers import Taken, amqp, broker, nats
from tests.notifications.subscriber import JSON, Json, Sent, Subscriber, focuses, listening, observation, told
from tests.serving import own


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bus() -> AsyncIterator[Taken]:
    async with broker("nats", nats) as taken:
        yield taken


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def queue() -> AsyncIterator[Taken]:
    async with broker("amqp", amqp) as taken:
        yield taken


@pytest.fixture(scope="module", autouse=True)
def few_places() -> Iterator[None]:
    """Have no more places for deliveries than a test can fill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "AT_ONCE", 4)
        yield


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("letters")


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr, letters: Path, bus: Taken, queue: Taken) -> Settings:
    return own(
        data_dir,
        "channels",
        jobs=Jobs(concurrency=1),
        outbound=Outbound(allowed=("127.0.0.1/32",)),
        messages=Messages(folder=letters),
        channels=Channels(recipients=("clinic.example",), brokers=(SecretStr(bus.url), SecretStr(queue.url))),
    )


async def subscribed(client: httpx.AsyncClient, code: str, content: str = "id-only", **channel: Any) -> str:
    asked = Subscriber().subscription("none", filters=(f"Observation?code={code}",), content=content)
    asked["channel"] |= channel
    answer = await client.post("Subscription", json=asked)
    assert answer.status_code == 201, answer.text
    one = str(answer.json()["id"])
    async with asyncio.timeout(20):
        while (await client.get(f"Subscription/{one}")).json()["status"] != "active":  # noqa: ASYNC110 - the worker says so
            await asyncio.sleep(0.05)
    return one


async def write(client: httpx.AsyncClient, code: str) -> str:
    answer = await client.post("Observation", json=observation(code))
    assert answer.status_code == 201, answer.text
    return f"Observation/{answer.json()['id']}"


def written(folder: Path) -> list[EmailMessage]:
    found = [message_from_bytes(file.read_bytes(), policy=default) for file in sorted(folder.glob("*.eml"))]
    return [one for one in found if isinstance(one, EmailMessage)]


def attached(letter: EmailMessage) -> Json:
    (part,) = letter.iter_attachments()
    assert part.get_content_type() == JSON
    found: Json = json.decode(part.get_content())
    return found


async def test_by_email_a_letter_comes_for_the_handshake_and_each_notification(
    client: httpx.AsyncClient, letters: Path
) -> None:
    await subscribed(client, "mail", type="email", endpoint="mailto:duty@clinic.example", header=["Subject: Results"])
    made = await write(client, "mail")
    async with asyncio.timeout(20):
        while len(written(letters)) < 2:  # noqa: ASYNC110 - the worker writes them
            await asyncio.sleep(0.05)
    bundles = [attached(one) for one in written(letters)]
    assert {told(one)["type"] for one in bundles} == {"handshake", "event-notification"}
    assert [focus for one in bundles for focus in focuses(one)] == [made]
    assert {one["Subject"] for one in written(letters)} == {"Results"}


@pytest.mark.parametrize("kind", ["nats", "amqp"])
async def test_by_message_a_broker_has_the_handshake_and_every_event_in_order(
    client: httpx.AsyncClient, bus: Taken, queue: Taken, kind: str
) -> None:
    taken = bus if kind == "nats" else queue
    place = taken.url.replace("me:secret@", "")
    one = await subscribed(client, kind, type="message", endpoint=f"{place}/fhir.results", header=["Tenant: a"])
    made = [await write(client, kind) for _ in range(5)]
    seen: list[str] = []
    async with asyncio.timeout(20):
        while len(seen) < 5:
            await asyncio.sleep(0.05)
            seen = [focus for _, _, body in taken.messages for focus in focuses(json.decode(body))]
    assert seen == made
    subject, headers, body = taken.messages[0]
    assert (subject, headers["Fhir-Subscription"], headers["Tenant"]) == ("fhir.results", f"Subscription/{one}", "a")
    assert told(json.decode(body))["type"] == "handshake"


@pytest.mark.parametrize(
    "channel",
    [
        {"type": "email", "endpoint": "mailto:a@elsewhere.example"},
        {"type": "email", "endpoint": "mailto:a@clinic.example", "header": ["Bcc: b@c.example"]},
        {"type": "message", "endpoint": "nats://10.0.0.1:4222/fhir.a"},
        {"type": "rest-hook", "endpoint": "https://10.0.0.1/"},
        {"type": "rest-hook", "endpoint": "https://hooks.example/", "header": ["Host: a"]},
        {"type": "sms", "endpoint": "tel:1"},
    ],
)
async def test_what_a_channel_cannot_do_is_refused(client: httpx.AsyncClient, channel: Json) -> None:
    asked = Subscriber().subscription("none")
    asked["channel"] |= channel
    answer = await client.post("Subscription", json=asked)
    assert answer.status_code == 422, answer.text
    assert answer.json()["issue"][0]["expression"][0].startswith("Subscription.channel")


async def test_subscribers_that_hang_delay_nobody(client: httpx.AsyncClient) -> None:
    async def hang(sent: Sent) -> int:
        if sent.kind == "event-notification" and sent.name.startswith("slow"):
            await asyncio.sleep(30)
        return 200

    async with listening() as subscriber:
        subscriber.status = hang
        for number in range(8):
            await subscribed(client, "hang", endpoint=subscriber.place(f"slow{number}"))
        await subscribed(client, "hang", endpoint=subscriber.place("quick"))
        await write(client, "hang")
        await subscriber.until(
            "quick", 1
        )  # its turn is the ninth of four places, each of which is given up after 20 seconds only
