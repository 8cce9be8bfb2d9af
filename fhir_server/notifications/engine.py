"""The loop that serves all Subscriptions of a record; one process at a time runs it."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from fhir_server.model.background import ended
from fhir_server.model.errors import FhirError
from fhir_server.notifications.delivery import Delivery
from fhir_server.notifications.numbering import Numbering
from fhir_server.notifications.register import Register
from fhir_server.repository import Repository
from fhir_server.store import Store

PAUSE = 0.2
"""Seconds between two looks for new versions, where somebody is to be told."""

IDLE = 0.5
"""Seconds between two looks for new Subscriptions, where there are none."""

TROUBLE = 1.0
AT_ONCE = 50
"""Most subscribers that are delivered to at the same time."""

QUICK = 2.0
"""Seconds after which a subscriber counts as slow, and others are delivered to instead while it takes its time."""

MOST_SLOW = 500
"""Most slow subscribers that others are not kept waiting for."""

log = structlog.get_logger("subscriptions")


class Engine:
    """Serves Subscriptions.

    Args:
        store: The database.
        register: The Subscriptions.
        numbering: Numbers events.
        delivery: Delivers.
        repository: Returns the repository of now, unrestricted.
    """

    def __init__(
        self,
        store: Store,
        register: Register,
        numbering: Numbering,
        delivery: Delivery,
        repository: Callable[[], Repository],
    ) -> None:
        self._store = store
        self._register = register
        self._numbering = numbering
        self._delivery = delivery
        self._repository = repository
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._slow: set[str] = set()

    async def run(self) -> None:
        """Serve until it is cancelled."""
        # Whoever ran it before has gone further than this process has heard.
        self._register.forget()
        try:
            while True:
                try:
                    more = await self._numbering.step(self._repository())
                    self._begin()
                except FhirError as error:
                    log.warning("subscriptions_wait", reason=type(error).__name__)
                    await asyncio.sleep(TROUBLE)
                    continue
                if not more:
                    await asyncio.sleep(PAUSE if any(True for _ in self._register) else IDLE)
        finally:
            await ended(*self._serving.values())
            self._serving.clear()

    def _begin(self) -> None:
        """Begin what is due."""
        now = self._store.clock.now()
        for one in self._register:
            if one.id not in self._serving and self._delivery.is_due(one, now):
                task = asyncio.create_task(self._serve(one.id), name=f"Subscription {one.id}")
                self._serving[one.id] = task
                task.add_done_callback(partial(self._served, one.id))

    def _served(self, subscription: str, _: object) -> None:
        self._serving.pop(subscription, None)

    @asynccontextmanager
    async def _place(self, subscription: str) -> AsyncIterator[None]:
        """Wait for a place, and give it up at the end, or when the subscriber turns out to be slow."""
        await self._places.acquire()

        def slow() -> None:
            if len(self._slow) < MOST_SLOW:
                self._slow.add(subscription)
                self._places.release()

        timer = asyncio.get_running_loop().call_later(QUICK, slow)
        try:
            yield
        finally:
            timer.cancel()
            if subscription in self._slow:
                self._slow.discard(subscription)
            else:
                self._places.release()

    async def _serve(self, subscription: str) -> None:
        async with self._place(subscription):
            one = self._register.get(subscription)
            if one is None:
                return
            try:
                await self._delivery.serve(one)
            except FhirError as error:
                log.warning("subscription_waits", subscription=subscription, reason=type(error).__name__)
                await asyncio.sleep(TROUBLE)
            except Exception as error:  # noqa: BLE001 - a fault with one subscriber must not end the others
                frames = traceback.format_tb(error.__traceback__)  # the message may hold patient data
                log.error("subscription_fault", subscription=subscription, error=type(error).__name__, at=frames)  # noqa: TRY400 - see above
                await asyncio.sleep(TROUBLE)
