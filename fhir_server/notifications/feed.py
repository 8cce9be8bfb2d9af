"""Notifications for those who come for them over connections of their own (`model.channel.Feed`), in any process."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fhir_server.model.channel import Notification
from fhir_server.model.errors import Forbidden, NotFound
from fhir_server.notifications import content
from fhir_server.notifications.content import Write
from fhir_server.notifications.reach import Reaches, Telling
from fhir_server.notifications.register import Subscribed, read
from fhir_server.repository import Repository
from fhir_server.store import Store
from fhir_server.subscriptions import Offer


@dataclass(frozen=True, slots=True)
class Tickets:
    """Hands out tokens that bind a connection to Subscriptions, and knows what they are for.

    Attributes:
        store: The database, which has their hashes only.
        minutes: How long one can be used.
    """

    store: Store
    minutes: float

    async def hand_out(self, subscriptions: Sequence[str]) -> tuple[str, datetime]:
        """Return a token for Subscriptions, and until when it can be used.

        Raises:
            Unavailable: The database cannot be reached.
        """
        token, until = secrets.token_urlsafe(32), self.store.clock.now() + timedelta(minutes=self.minutes)
        await self.store.subscriptions.hand_out(_hash(token), subscriptions, until)
        return token, until

    async def subscriptions(self, token: str) -> Sequence[str]:
        """Return what a token is for; nothing where it is not one, or not any more.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self.store.subscriptions.handed_out(_hash(token), self.store.clock.now())


@dataclass(frozen=True, slots=True)
class Served:
    """Implements `Feed`.

    Attributes:
        store: The database.
        offer: The channels.
        reaches: What subscribers may see.
        telling: The repository for what is told.
        repository: Returns the repository of now, unrestricted.
        tickets: Knows tokens.
        write: Writes resources.
        base: The service base.
    """

    store: Store
    offer: Offer
    reaches: Reaches
    telling: Telling
    repository: Callable[[], Repository]
    tickets: Tickets
    write: Write
    base: str

    async def bound(self, token: str) -> Sequence[str]:
        """Return the ids of the Subscriptions that a token is for."""
        return await self.tickets.subscriptions(token)

    async def opening(self, subscription: str) -> Notification | None:
        """Return the handshake of a connection, after which comes what the subscriber is not known to have."""
        try:
            one = await self._one(subscription)
        except NotFound:
            return None
        assert one.asked is not None  # noqa: S101 - what cannot be read is not found
        handshake = content.notification(one, one.asked, "handshake", self.base, self.store.clock.now(), self.write)
        return replace(handshake, last=one.delivered)

    async def marks(self, subscriptions: Collection[str]) -> Mapping[str, object]:
        """Return what changes whenever there may be something new of a Subscription."""
        return await self.store.subscriptions.marks(subscriptions)

    async def following(self, subscription: str, after: int, quiet: float) -> Notification | None:
        """Return the next notification, or a heartbeat, or nothing now."""
        one = await self._one(subscription)
        asked = one.asked
        assert asked is not None  # noqa: S101 - what cannot be read is not found
        if one.status == "requested":
            return None
        try:
            scope = await self.reaches.scope(one)
        except Forbidden as error:
            raise NotFound(str(error)) from None
        now = self.store.clock.now()
        if after >= one.number:
            beat = bool(asked.heartbeat) and quiet >= asked.heartbeat
            return content.notification(one, asked, "heartbeat", self.base, now, self.write) if beat else None
        events = await self.store.subscriptions.events(one.run, after + 1, one.number, asked.most if asked.topic else 1)
        if not events:
            return None
        async with self.telling(one.id, scope) as repository:
            told = await content.happenings(repository, one, events)
        return content.notification(one, asked, "event-notification", self.base, now, self.write, told)

    async def taken(self, subscription: str, run: str, number: int) -> None:
        """Note that the subscriber has all events up to a number of a run."""
        await self.store.subscriptions.delivered(subscription, run, number, self.store.clock.now())

    async def _one(self, subscription: str) -> Subscribed:
        """Return a Subscription that is served.

        Raises:
            NotFound: There is none.
        """
        row = await self.store.subscriptions.row(subscription)
        one = read(row, self.offer, self.repository()) if row and "gone" not in row and "run" in row else None
        if one is None or one.asked is None or one.fault or one.status not in {"requested", "active"}:
            raise NotFound(f"Subscription/{subscription} is not served: it is not there, is off, or has failed.")
        return one


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
