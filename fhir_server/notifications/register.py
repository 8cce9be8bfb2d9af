"""The Subscriptions of now in memory, read anew as far as they were changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from fhir_server.model import json
from fhir_server.model.errors import FhirError
from fhir_server.repository import Repository
from fhir_server.repository.subscribing import SERVED
from fhir_server.store import Store
from fhir_server.subscriptions import Offer
from fhir_server.subscriptions import asked as reader
from fhir_server.subscriptions.asked import Asked, Criteria
from fhir_server.subscriptions.notification import Standing
from fhir_server.subscriptions.rules import Rule

log = structlog.get_logger("subscriptions")


@dataclass(frozen=True, slots=True)
class Term:
    """What a Subscription is about for a time.

    Attributes:
        since: Versions that came later than this count.
        until: Those that came later than this do not; `None` for no end.
        rules: What makes an event.
    """

    since: datetime
    until: datetime | None
    rules: tuple[Rule, ...]

    def covers(self, moment: datetime) -> bool:
        """Return whether a version of that moment counts."""
        return self.since < moment and (self.until is None or moment <= self.until)


@dataclass(slots=True)
class Subscribed:
    """One Subscription, and how far its subscriber was told.

    Attributes:
        id: Logical id.
        run: Its life; created anew after a deletion it has another one.
        version: Version of the resource.
        status: requested, active, error or off.
        asked: What it asks for; `None` where that cannot be read.
        terms: What it is about.
        mandate: Under whose rights.
        given: When that was given.
        number: How many events there were.
        delivered: Up to which number the subscriber was told.
        failures: Attempts in a row that failed.
        tried: When the next attempt is due; `None` for at once.
        sent: When something was last sent.
        reason: Why it is in error.
        fault: What is wrong with it that nobody has said yet.
        failing: When the attempts began to fail.
    """

    id: str
    run: str
    version: int
    status: str
    asked: Asked | None
    terms: tuple[Term, ...]
    mandate: Mapping[str, Any]
    given: datetime
    number: int = 0
    delivered: int = 0
    failures: int = 0
    tried: datetime | None = None
    sent: datetime = field(default_factory=lambda: datetime.now(UTC))
    reason: str = ""
    fault: str = ""
    failing: datetime | None = None

    @property
    def standing(self) -> Standing:
        """How it stands."""
        topic = self.asked.topic if self.asked else ""
        return Standing(self.id, self.status, self.number, topic, self.reason if self.status == "error" else "")

    def adopt(self, found: "Subscribed") -> None:
        """Be as the register says, which may not know yet how deliveries go that are under way."""
        if found.version < self.version:
            return
        self.version, self.status, self.asked, self.terms = found.version, found.status, found.asked, found.terms
        self.mandate, self.given, self.reason, self.fault = found.mandate, found.given, found.reason, found.fault
        self.number = max(self.number, found.number)
        self.delivered = max(self.delivered, found.delivered)

    def goes_on(self, after: datetime) -> bool:
        """Return whether versions that came later than a moment may count."""
        return any(term.until is None or term.until > after for term in self.terms)

    def includes(self, resource_type: str) -> tuple[str, ...]:
        """Return what goes along with a resource of a type."""
        rules = self.terms[-1].rules if self.terms else ()
        found = (text for one in rules if one.resource_type == resource_type for text in one.trigger.includes)
        return tuple(dict.fromkeys(found))


class Register:
    """The Subscriptions of one database, as this process knows them.

    Args:
        store: The database.
        offer: What can be subscribed to.
    """

    def __init__(self, store: Store, offer: Offer) -> None:
        self._store = store
        self._offer = offer
        self._known: dict[str, Subscribed] = {}
        self._since: datetime | None = None

    def __iter__(self) -> Iterator[Subscribed]:
        return iter([*self._known.values()])

    def get(self, subscription: str) -> Subscribed | None:
        """Return one, `None` where it is not there."""
        return self._known.get(subscription)

    async def renew(self, until: datetime, repository: Repository) -> None:
        """Learn what was changed.

        Args:
            until: The horizon that was asked for before; all that was written up to there is known then.
            repository: With the search parameters of now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        for row in await self._store.subscriptions.changed(self._since):
            if "gone" in row:
                self._known.pop(row["_id"], None)
            elif "run" in row:
                found = read(row, self._offer, repository)
                known = self._known.get(found.id)
                if known is None or known.run != found.run:
                    self._known[found.id] = found
                else:
                    known.adopt(found)
        self._since = until

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._known.clear()
        self._since = None


def read(row: Mapping[str, Any], offer: Offer, repository: Repository) -> Subscribed:
    """Return the Subscription of a row of the register."""
    status, fault = row["status"], ""
    asked: Asked | None = None
    terms: tuple[Term, ...] = ()
    try:
        asked = reader.read(json.decode(row["resource"]))
        terms = tuple(_term(one, asked, offer, repository) for one in row["terms"])
    except FhirError as error:
        # Accepted once: of a search parameter that is not there any more, or a topic that is not offered any more.
        fault = str(error) if status in SERVED else ""
        log.warning("subscription_unreadable", subscription=row["_id"], reason=type(error).__name__)
    tried = row.get("tried")
    return Subscribed(
        row["_id"],
        row["run"],
        row["vid"],
        status,
        asked,
        terms,
        row["mandate"],
        _utc(row["given"]),
        row["number"],
        row["delivered"],
        row["failures"],
        _utc(tried) if tried else None,
        _utc(row["sent"]),
        row.get("reason", ""),
        fault,
    )


def _term(row: Mapping[str, Any], asked: Asked, offer: Offer, repository: Repository) -> Term:
    criteria = tuple(Criteria(kind, query) for kind, query in row["criteria"])
    meant = Asked(row["topic"], criteria, asked.channel, asked.endpoint, (), asked.media, asked.content)
    rules = offer.rules(meant, repository.definitions, repository.intake.reading)
    return Term(_utc(row["since"]), _utc(row["until"]) if row["until"] else None, rules)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
