"""Notifications to message brokers (NATS, AMQP): those that the operator names, with the operator's login, below a prefix."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol
from urllib.parse import urlsplit

from fhir_server.channels.amqp import Amqp
from fhir_server.channels.nats import Nats
from fhir_server.channels.rest_hook import joined, refuse_headers
from fhir_server.model.channel import Notification, Undelivered

PORTS = {"nats": 4222, "jetstream": 4222, "amqp": 5672, "amqps": 5671}
LONGEST_SUBJECT = 200
STEERING = re.compile(r"(nats-|x-|fhir-|cc$|bcc$)", re.IGNORECASE)
"""Headers that brokers act upon (expire, purge, send elsewhere), or that say what a notification is."""

_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message for a broker.

    Attributes:
        subject: Subject (NATS) or queue (AMQP).
        headers: What is said with it.
        content_type: Media type of the body, empty for none.
        body: The content.
    """

    subject: str
    headers: Mapping[str, str]
    content_type: str
    body: bytes


class Broker(Protocol):
    """A connection to one broker, opened when it is needed."""

    async def publish(self, parcel: Parcel) -> None:
        """Return when the broker has taken a message; wait as long as that takes.

        Raises:
            Undelivered: It has not.
        """
        ...

    async def close(self) -> None:
        """Close the connection where there is one; the next message opens another."""
        ...


class Brokers:
    """Implements `Channel` by brokers.

    Args:
        brokers: Their URLs, with login.
        prefix: What subjects and queues begin with.
    """

    pulled = False

    def __init__(self, brokers: Sequence[str], prefix: str) -> None:
        self._brokers = {_plain(url): _broker(url) for url in brokers}
        self._prefix = prefix

    def refuse(self, subscription: Mapping[str, Any]) -> str:
        """Return why a Subscription cannot be notified so, empty where it can."""
        channel = subscription["channel"]
        if why := self._refuse_endpoint(channel.get("endpoint", "")):
            return why
        lines = channel.get("header", ())
        if why := refuse_headers(lines):
            return why
        if steering := [line for line in lines if STEERING.match(line.partition(":")[0].strip())]:
            return f"The header {steering[0].partition(':')[0].strip()} is one that brokers act upon, and cannot be chosen."
        return ""

    async def deliver(self, endpoint: str, notification: Notification) -> None:
        """Hand a notification to the broker.

        Raises:
            Undelivered: It was not taken. It is permanent where the broker is none of ours (any more), or will not take it ever.
        """
        if why := self._refuse_endpoint(endpoint):
            raise Undelivered(why, permanent=True)
        place, subject = _split(endpoint)
        broker = self._brokers[place]
        told = {
            "Fhir-Subscription": f"Subscription/{notification.subscription}",
            "Fhir-Notification": notification.kind,
            **({"Fhir-Events": f"{notification.first}-{notification.last}"} if notification.first else {}),
            **({"Fhir-Resource": notification.path} if notification.path else {}),
        }
        parcel = Parcel(subject, joined(notification) | told, notification.content_type, notification.body)
        try:
            async with asyncio.timeout(notification.seconds):
                await broker.publish(parcel)
        except TimeoutError:
            await broker.close()
            raise Undelivered(f"The broker did not take it within {notification.seconds:g} seconds.") from None

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(broker.close() for broker in self._brokers.values()))

    def _refuse_endpoint(self, endpoint: str) -> str:
        place, subject = _split(endpoint)
        if place not in self._brokers:
            known = ", ".join(f"{one}/{self._prefix}…" for one in self._brokers) or "none is configured"
            return f"channel.endpoint names no broker of this server ({known}; the operator names them in channels.brokers)."
        if not (subject.startswith(self._prefix) and len(subject) <= LONGEST_SUBJECT and _SUBJECT.fullmatch(subject)):
            return (
                f"channel.endpoint ends with a subject or queue that begins with '{self._prefix}' and has letters, digits, '-', '_' and "
                "single dots."
            )
        package, extra = ("aio_pika", "AMQP") if place.startswith("amqp") else ("nats", "NATS")
        return (
            ""
            if find_spec(package)
            else f"{extra} needs the packages of the extra 'brokers', which are not installed here."
        )


def _broker(url: str) -> Broker:
    return Amqp(url) if urlsplit(url).scheme.startswith("amqp") else Nats(url)


def _plain(url: str) -> str:
    """Return what endpoints call a broker: its URL with port, without login, and without slash at the end."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = parts.port or PORTS.get(parts.scheme.removeprefix("tls+"), 0)
    return f"{parts.scheme}://{name}:{port}{parts.path.rstrip('/')}"


def _split(endpoint: str) -> tuple[str, str]:
    """Return broker and subject of an endpoint; of what is no such URL, nothing that there could be."""
    try:
        parts = urlsplit(endpoint)
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            return "", ""
        path, _, subject = parts.path.rpartition("/")
        return _plain(parts._replace(path=path).geturl()), subject
    except ValueError:
        return "", ""
