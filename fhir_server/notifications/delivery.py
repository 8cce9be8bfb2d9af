"""Delivers to one subscriber: the handshake, notifications in the order of their numbers, heartbeats; and says how it goes.

What is not taken is tried again after growing pauses, and nothing overtakes it. When that has gone on for too long the Subscription
is in error: events go on to be counted, and whoever owns it asks for it again when the subscriber is back.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from fhir_server.model.channel import Channel, Notification, Undelivered
from fhir_server.model.errors import Forbidden, Gone, NotFound, PreconditionFailed
from fhir_server.notifications import content
from fhir_server.notifications.content import Write
from fhir_server.notifications.reach import Reaches, Telling
from fhir_server.notifications.register import Subscribed
from fhir_server.repository import Demand, Repository
from fhir_server.repository.subscribing import TYPE, steward
from fhir_server.store import Store
from fhir_server.subscriptions import Offer
from fhir_server.subscriptions.asked import Asked
from fhir_server.subscriptions.notification import Kind

HANDSHAKES = 3
LONGEST_PAUSE = 60.0
MOST_REASON = 500

log = structlog.get_logger("subscriptions")


@dataclass(frozen=True, slots=True)
class Delivery:
    """Serves Subscriptions one at a time.

    Attributes:
        store: The database.
        offer: The channels.
        reaches: What subscribers may see.
        telling: The repository for what is told.
        working: Returns the repository in which the server says how Subscriptions stand.
        write: Writes resources.
        base: The service base.
        give_up: Seconds after which a Subscription whose notifications are not taken is in error.
    """

    store: Store
    offer: Offer
    reaches: Reaches
    telling: Telling
    working: Callable[[], Repository]
    write: Write
    base: str
    give_up: float

    def is_due(self, one: Subscribed, now: datetime) -> bool:
        """Return whether there is something to do for a Subscription."""
        if one.status not in {"requested", "active"}:
            return bool(one.status == "error" and one.asked and one.asked.end and one.asked.end <= now)
        if one.fault or one.asked is None or (one.asked.end and one.asked.end <= now):
            return True
        if one.tried and one.tried > now:
            return False
        if one.status == "requested":
            return True
        channel = self.offer.channels.get(one.asked.channel)
        if channel is not None and channel.pulled:
            return False
        return one.delivered < one.number or self._is_quiet(one, one.asked, now)

    async def serve(self, one: Subscribed) -> None:
        """Do what is due for a Subscription.

        Raises:
            Unavailable: The database cannot be reached.
        """
        now = self.store.clock.now()
        # Its owner may ask for something else meanwhile; what is said then is not said of that.
        version, asked = one.version, one.asked
        channel = self.offer.channels.get(asked.channel) if asked else None
        if asked and asked.end and asked.end <= now:
            await self._stand(one, version, "off", "")
        elif one.fault or asked is None or channel is None:
            await self._stand(one, version, "error", one.fault or "Its channel is not offered any more.")
        elif one.status == "requested":
            await self._shake_hands(one, version, asked, channel)
        else:
            await self._deliver(one, version, asked, channel)

    async def _shake_hands(self, one: Subscribed, version: int, asked: Asked, channel: Channel) -> None:
        """Make a Subscription active when its subscriber answers."""
        if asked.is_topical and not channel.pulled:
            try:
                await channel.deliver(asked.endpoint, self._message(one, asked, "handshake"))
            except Undelivered as error:
                if error.permanent or one.failures + 1 >= HANDSHAKES:
                    await self._stand(one, version, "error", f"The handshake was not answered. {error.reason}")
                else:
                    await self._failed(one, version, error)
                return
        await self._stand(one, version, "active", "")

    async def _deliver(self, one: Subscribed, version: int, asked: Asked, channel: Channel) -> None:
        try:
            while one.delivered < one.number and one.status == "active" and one.version == version:
                message = await self._next(one, asked)
                if message is None:
                    return
                await channel.deliver(asked.endpoint, message)
                await self._taken(one, message.last)
            if self._is_quiet(one, asked, self.store.clock.now()):
                await self.reaches.scope(one)
                await channel.deliver(asked.endpoint, self._message(one, asked, "heartbeat"))
                await self._taken(one, one.delivered)
        except Undelivered as error:
            await self._failed(one, version, error)
        except Forbidden as error:
            await self._stand(one, version, "error", str(error))

    async def _next(self, one: Subscribed, asked: Asked) -> Notification | None:
        """Return the next notification within what the subscriber may see now, `None` where its events are not there any more.

        Raises:
            Forbidden: The mandate is over.
        """
        most = asked.most if asked.is_topical else 1
        events = await self.store.subscriptions.events(one.run, one.delivered + 1, one.number, most)
        if not events:  # kept for too short a time; $events tells no more of them either
            await self._taken(one, one.number)
            return None
        async with self.telling(one.id, await self.reaches.scope(one)) as repository:
            told = await content.happenings(repository, one, events)
        if not asked.is_topical and not told[0].focus:
            # Without a number to tell of, there is nothing to say of what may not be seen any more.
            await self._taken(one, events[0].number)
            return await self._next(one, asked) if one.delivered < one.number else None
        return self._message(one, asked, "event-notification", told)

    def _message(self, one: Subscribed, asked: Asked, kind: Kind, told: Any = ()) -> Notification:
        return content.notification(one, asked, kind, self.base, self.store.clock.now(), self.write, told)

    def _is_quiet(self, one: Subscribed, asked: Asked, now: datetime) -> bool:
        return bool(asked.heartbeat) and one.sent + timedelta(seconds=asked.heartbeat) <= now

    async def _taken(self, one: Subscribed, number: int) -> None:
        now = self.store.clock.now()
        await self.store.subscriptions.delivered(one.id, one.run, number, now)
        one.delivered, one.sent = max(one.delivered, number), now
        one.failures, one.tried, one.failing = 0, None, None

    async def _failed(self, one: Subscribed, version: int, error: Undelivered) -> None:
        """Put off the next attempt, or give up."""
        now = self.store.clock.now()
        one.failing = one.failing or now
        if error.permanent or (now - one.failing).total_seconds() >= self.give_up:
            await self._stand(one, version, "error", error.reason)
            return
        pause = min(2.0**one.failures, LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 - jitter
        one.failures += 1
        one.tried = now + timedelta(seconds=pause)
        await self.store.subscriptions.note(one.id, one.run, failures=one.failures, tried=one.tried)
        log.info("notification_undelivered", subscription=one.id, failures=one.failures)

    async def _stand(self, one: Subscribed, version: int, status: str, reason: str) -> None:
        """Say in the Subscription itself how it stands, unless its owner has said something else meanwhile."""
        reason = reason[:MOST_REASON]

        def change(resource: dict[str, Any]) -> dict[str, Any]:
            rest = {name: value for name, value in resource.items() if name != "error"}
            return {**rest, "status": status, **({"error": reason} if reason else {})}

        await self.store.subscriptions.note(one.id, one.run, reason=reason, failures=0, tried=None)
        with suppress(PreconditionFailed, NotFound, Gone):
            repository = replace(self.working(), scope=steward())
            written = await repository.patch(TYPE, one.id, change, Demand(match=(str(version),)))
            one.version, one.status, one.reason, one.fault = written.stored.vid, status, reason, ""
            one.failures, one.tried, one.failing = 0, None, None
            log.info("subscription_stands", subscription=one.id, status=status)
