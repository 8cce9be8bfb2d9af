"""Puts together what tells subscribers: the engine that one process runs, and the feed that every process has."""

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.model.channel import Feed
from fhir_server.notifications.content import Write
from fhir_server.notifications.delivery import Delivery
from fhir_server.notifications.engine import Engine
from fhir_server.notifications.feed import Served, Tickets
from fhir_server.notifications.numbering import Numbering
from fhir_server.notifications.reach import Reaches, Scopes, Telling
from fhir_server.notifications.register import Register
from fhir_server.repository import Repository
from fhir_server.settings.subscriptions import Subscriptions
from fhir_server.store import Store
from fhir_server.subscriptions import Offer


@dataclass(frozen=True, slots=True)
class Notifier:
    """What tells subscribers.

    Attributes:
        store: The database.
        offer: What can be subscribed to.
        settings: For how long.
        repository: Returns the repository of now, unrestricted.
        working: Returns the repository in which the server says how Subscriptions stand.
        scopes: Compiles mandates.
        telling: The repository for what is told.
        write: Writes resources.
        base: The service base.
    """

    store: Store
    offer: Offer
    settings: Subscriptions
    repository: Callable[[], Repository]
    working: Callable[[], Repository]
    scopes: Scopes
    telling: Telling
    write: Write
    base: str

    def engine(self) -> Engine:
        """Return the loop that serves Subscriptions."""
        register, reaches = Register(self.store, self.offer), Reaches(self.scopes)
        numbering = Numbering(self.store, register, reaches, self.settings.keep_days)
        delivery = Delivery(
            self.store,
            self.offer,
            reaches,
            self.telling,
            self.working,
            self.write,
            self.base,
            self.settings.give_up_seconds,
        )
        return Engine(self.store, register, numbering, delivery, self.repository)

    def feed(self) -> Feed:
        """Return where connections take notifications from."""
        tickets = Tickets(self.store, self.settings.token_minutes)
        return Served(
            self.store,
            self.offer,
            Reaches(self.scopes),
            self.telling,
            self.repository,
            tickets,
            self.write,
            self.base,
        )
