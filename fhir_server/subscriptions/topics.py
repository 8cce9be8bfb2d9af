"""Topics: what Subscriptions can be about (Subscriptions R5 Backport 1.1.0; R5 SubscriptionTopic).

R4 has no resource for them. The server has a few of its own, and a deployment adds others as R5 SubscriptionTopic resources in
a file (`subscriptions.topics`). Of such a resource the triggers by resource are understood, with their interactions and queries,
what may be filtered by, and which resources go along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fhir_server.model import json
from fhir_server.model.errors import FhirError, Unprocessable

ANY_TYPE = "*"
EVERY = frozenset({"create", "update", "delete"})
OWN = "urn:aquifer:topic:"
DEFINITION = "http://hl7.org/fhir/StructureDefinition/"

Result = str
"""What a missing version counts as: `test-passes` or `test-fails`."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes an event of a topic.

    Attributes:
        resource_type: Type of the resource that changes, or `*` for those that a Subscription names in its filters.
        interactions: Which changes count: create, update, delete.
        previous: Criteria that the version before fulfils, as a query without type; empty for none.
        current: Criteria that the new version fulfils.
        when_created: Whether a resource that was not there before counts as fulfilling `previous`.
        when_deleted: Whether one that is not there any more counts as fulfilling `current`.
        both: Whether both criteria must hold, or one of them.
        filters: Parameters that Subscriptions may filter by; `None` for every search parameter of the type.
        includes: What goes along: `_include` values such as `Encounter:patient`.
    """

    resource_type: str
    interactions: frozenset[str] = EVERY
    previous: str = ""
    current: str = ""
    when_created: bool = True
    when_deleted: bool = True
    both: bool = True
    filters: frozenset[str] | None = None
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        url: Canonical URL.
        title: What it is about, for people.
        triggers: What makes its events, at least one.
    """

    url: str
    title: str
    triggers: tuple[Trigger, ...]

    @property
    def is_open(self) -> bool:
        """Whether Subscriptions say which types they mean."""
        return any(trigger.resource_type == ANY_TYPE for trigger in self.triggers)

    def of(self, resource_type: str) -> tuple[Trigger, ...]:
        """Return what makes events of a type."""
        return tuple(one for one in self.triggers if one.resource_type in {ANY_TYPE, resource_type})


def _encounter(code: str, title: str, was: str, now: str) -> Topic:
    trigger = Trigger(
        "Encounter", frozenset({"create", "update"}), previous=was, current=now, includes=("Encounter:patient",)
    )
    return Topic(f"{OWN}{code}", title, (trigger,))


OWN_TOPICS: tuple[Topic, ...] = (
    Topic(f"{OWN}change", "Resources are created, updated or deleted", (Trigger(ANY_TYPE),)),
    Topic(f"{OWN}create", "Resources are created", (Trigger(ANY_TYPE, frozenset({"create"})),)),
    Topic(f"{OWN}update", "Resources are updated", (Trigger(ANY_TYPE, frozenset({"update"})),)),
    Topic(f"{OWN}delete", "Resources are deleted", (Trigger(ANY_TYPE, frozenset({"delete"})),)),
    _encounter(
        "encounter-start", "Visits and stays begin", "status:not=in-progress,arrived", "status=in-progress,arrived"
    ),
    _encounter("encounter-end", "Visits and stays end", "status:not=finished", "status=finished"),
    Topic(
        "http://hl7.org/SubscriptionTopic/admission",
        "Patients are admitted: the topic of the examples in the backport guide",
        (
            Trigger(
                "Encounter",
                frozenset({"create", "update"}),
                previous="status:not=in-progress",
                current="status=in-progress",
                includes=("Encounter:patient",),
            ),
        ),
    ),
)
"""Topics that every deployment has."""


def offered(path: Path | None) -> Mapping[str, Topic]:
    """Return the topics by URL: our own, and those of a file with an R5 SubscriptionTopic, an array or a Bundle of them.

    Raises:
        Unprocessable: The file cannot be read, or states something that is not understood.
    """
    topics = {topic.url: topic for topic in OWN_TOPICS}
    try:
        for resource in _resources(path) if path else ():
            topic = read(resource)
            topics[topic.url] = topic
    except (ValueError, AttributeError, TypeError) as error:
        raise Unprocessable(f"The setting subscriptions.topics ({path}) cannot be used: {error}.") from error
    return MappingProxyType(topics)


def read(resource: Mapping[str, Any]) -> Topic:
    """Return the topic that an R5 SubscriptionTopic states.

    Raises:
        ValueError: It is none, or has triggers that are not understood here.
    """
    url = resource.get("url")
    if resource.get("resourceType") != "SubscriptionTopic" or not isinstance(url, str) or not url:
        raise ValueError("a topic is an R5 SubscriptionTopic with a url")
    if resource.get("eventTrigger"):
        raise ValueError(f"the topic {url} has an eventTrigger; events of messages are not known here")
    triggers = tuple(_trigger(url, one, resource) for one in resource.get("resourceTrigger", ()))
    if not triggers:
        raise ValueError(f"the topic {url} has no resourceTrigger")
    return Topic(url, str(resource.get("title") or resource.get("description") or url), triggers)


def _trigger(url: str, row: Mapping[str, Any], topic: Mapping[str, Any]) -> Trigger:
    if row.get("fhirPathCriteria"):
        raise ValueError(f"the topic {url} has fhirPathCriteria; state queryCriteria, which are understood here")
    resource_type = str(row.get("resource", "")).removeprefix(DEFINITION)
    query: Mapping[str, Any] = row.get("queryCriteria", {})
    rules = [one for one in topic.get("canFilterBy", ()) if _is_of(one, resource_type)]
    shapes = [one for one in topic.get("notificationShape", ()) if _is_of(one, resource_type)]
    return Trigger(
        resource_type,
        frozenset(row.get("supportedInteraction", EVERY)) & EVERY,
        _query(query.get("previous", "")),
        _query(query.get("current", "")),
        query.get("resultForCreate") != "test-fails",
        query.get("resultForDelete") != "test-fails",
        bool(query.get("requireBoth", False)),
        frozenset(one["filterParameter"] for one in rules) if rules else None,
        tuple(text for one in shapes for text in one.get("include", ())),
    )


def _is_of(row: Mapping[str, Any], resource_type: str) -> bool:
    return str(row.get("resource", resource_type)).removeprefix(DEFINITION) == resource_type


def _query(text: str) -> str:
    """Return the query of `Encounter?status=…` or `status=…`."""
    return text.partition("?")[2] if "?" in text else text


def _resources(path: Path) -> list[Any]:
    try:
        found = json.decode(path.read_bytes())
    except (OSError, ValueError, FhirError) as error:
        raise ValueError(f"it cannot be read ({error})") from error
    if isinstance(found, dict) and found.get("resourceType") == "Bundle":
        return [row.get("resource") for row in found.get("entry", ())]
    return found if isinstance(found, list) else [found]
