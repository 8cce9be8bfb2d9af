"""What a Subscription asks for, read from the resource (R4 Subscription; Subscriptions R5 Backport 1.1.0)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from fhir_server.model.errors import Unprocessable

TYPE = "Subscription"
GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
PROFILE = f"{GUIDE}backport-subscription"
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/"
"""Extensions that carry elements of R5 begin with it."""

FILTER, CONTENT, CHANNEL, HEARTBEAT, TIMEOUT, MOST = (
    f"{GUIDE}{name}"
    for name in (
        "backport-filter-criteria",
        "backport-payload-content",
        "backport-channel-type",
        "backport-heartbeat-period",
        "backport-timeout",
        "backport-max-count",
    )
)
KNOWN = frozenset({FILTER, CONTENT, CHANNEL, HEARTBEAT, TIMEOUT, MOST})

JSON, XML = "application/fhir+json", "application/fhir+xml"
FORMATS: Mapping[str, str] = {JSON: JSON, "application/json": JSON, XML: XML}
"""Media types of payloads, with what they stand for."""

Content = Literal["empty", "id-only", "full-resource", "nothing", "resource"]
"""Levels of the guide; of criteria without a topic: `nothing`, or the `resource` itself."""

CONTENTS: tuple[Content, ...] = ("empty", "id-only", "full-resource")
USUAL_SECONDS, MOST_SECONDS = 20.0, 60.0
USUAL_COUNT, MOST_COUNT = 20, 100
SHORTEST_HEARTBEAT = 5


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which resources of a type are meant.

    Attributes:
        resource_type: The type.
        query: Search parameters as in a URL, empty for all.
    """

    resource_type: str
    query: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Subscription asks for.

    Attributes:
        topic: Canonical URL of its topic; empty where its criteria are a search (R4).
        criteria: The filters, or the one search.
        channel: Code of the channel type.
        endpoint: Where notifications go, empty for none.
        headers: What is said with them.
        media: Media type of notifications, empty where there is no body.
        content: How much they tell.
        heartbeat: Seconds after which a heartbeat is sent, 0 for none.
        seconds: How long a delivery may take.
        most: Most events of one notification.
        end: When it ends by itself.
    """

    topic: str
    criteria: tuple[Criteria, ...]
    channel: str
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    media: str
    content: Content
    heartbeat: int = 0
    seconds: float = USUAL_SECONDS
    most: int = USUAL_COUNT
    end: datetime | None = None

    @property
    def is_topical(self) -> bool:
        """Whether it has a topic, as the backport guide has it."""
        return bool(self.topic)


def read(resource: Mapping[str, Any]) -> Asked:
    """Return what a valid Subscription asks for.

    Raises:
        Unprocessable: Something of it is not understood here.
    """
    _refuse_foreign(resource)
    channel = resource["channel"]
    criteria = resource["criteria"].strip()
    media = _media(channel)
    content = _content(channel)
    end = resource.get("end")
    shared = {
        "channel": _channel(channel),
        "endpoint": channel.get("endpoint", ""),
        "headers": tuple(_header(text) for text in channel.get("header", ())),
        "media": media,
        "seconds": min(_number(channel, TIMEOUT, "valueUnsignedInt") or USUAL_SECONDS, MOST_SECONDS),
        "most": min(_number(channel, MOST, "valuePositiveInt") or USUAL_COUNT, MOST_COUNT),
        "end": datetime.fromisoformat(end) if end else None,
    }
    filters = [one["valueString"] for one in _extensions(resource.get("_criteria"), FILTER) if "valueString" in one]
    if not _is_canonical(criteria):
        if filters or content:
            raise _refused(
                "Filter criteria and a content level are for Subscriptions to a topic, and the criteria of this one are a search.",
                "criteria",
            )
        found: Content = "resource" if media else "nothing"
        return Asked("", (_criteria(criteria, "criteria"),), content=found, **shared)
    if not content or not media:
        raise _refused(
            "A Subscription to a topic says the media type of its notifications in channel.payload, and how much they tell in the "
            f"extension {CONTENT} of it: {', '.join(CONTENTS)}.",
            "channel.payload",
        )
    beat = _number(channel, HEARTBEAT, "valueUnsignedInt")
    return Asked(
        criteria,
        tuple(_criteria(text, "criteria.extension") for text in filters),
        content=content,
        heartbeat=max(beat, SHORTEST_HEARTBEAT) if beat else 0,
        **shared,
    )


def _refused(text: str, place: str) -> Unprocessable:
    return Unprocessable(text, expression=f"{TYPE}.{place}")


def _is_canonical(text: str) -> bool:
    return "://" in text.partition("?")[0] or text.startswith("urn:")


def _refuse_foreign(resource: Mapping[str, Any]) -> None:
    """Refuse extensions that carry R5's own elements, and those of the guide that it does not have."""
    for place, url in _urls(resource, TYPE):
        if url.startswith(R5):
            raise Unprocessable(
                f"The extension {url[:120]} carries an element of R5's Subscription, which is not read here. Use the criteria, the "
                "channel and the extensions of the Subscriptions R5 Backport guide.",
                expression=place,
            )
        if url.startswith(GUIDE) and url not in KNOWN:
            raise Unprocessable(f"The backport guide has no extension {url[:120]}.", expression=place)


def _urls(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name in {"extension", "modifierExtension"} and isinstance(one, list):
                yield from ((f"{path}.{name}", str(row.get("url", ""))) for row in one if isinstance(row, dict))
            yield from _urls(one, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _urls(one, path)


def _extensions(element: Any, url: str) -> list[Mapping[str, Any]]:
    rows = element.get("extension", ()) if isinstance(element, dict) else ()
    return [one for one in rows if one.get("url") == url]


def _number(channel: Mapping[str, Any], url: str, member: str) -> int:
    for one in _extensions(channel, url):
        if member not in one:
            raise _refused(f"The extension {url} has a {member}.", "channel.extension")
        return int(one[member])
    return 0


def _channel(channel: Mapping[str, Any]) -> str:
    for one in _extensions(channel.get("_type"), CHANNEL):
        return str(one.get("valueCoding", {}).get("code", ""))
    return str(channel["type"])


def _media(channel: Mapping[str, Any]) -> str:
    text = channel.get("payload", "").strip()
    if not text:
        return ""
    kind, _, more = text.partition(";")
    found = FORMATS.get(kind.strip().lower())
    if found is None or (more and more.strip().lower() not in {"charset=utf-8", "fhirversion=4.0"}):
        raise _refused(
            f"Notifications are not written as '{text[:60]}'. Use {' or '.join(FORMATS)}.", "channel.payload"
        )
    return found


def _content(channel: Mapping[str, Any]) -> Content | None:
    for one in _extensions(channel.get("_payload"), CONTENT):
        found = next((known for known in CONTENTS if known == one.get("valueCode")), None)
        if found is None:
            raise _refused(
                f"'{str(one.get('valueCode'))[:40]}' is no content level. It is one of {', '.join(CONTENTS)}.",
                "channel.payload.extension",
            )
        return found
    return None


def _header(text: str) -> tuple[str, str]:
    name, mark, value = text.partition(":")
    name = name.strip()
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    if not (mark and plain) or any(ord(letter) < 32 for letter in value):
        raise _refused(
            "An entry of channel.header is a header such as 'Authorization: Bearer …' in one line.", "channel.header"
        )
    return name, value.strip()


def _criteria(text: str, place: str) -> Criteria:
    resource_type, _, query = text.strip().partition("?")
    if not resource_type.isalpha():
        raise _refused(
            f"'{text[:60]}' is no criteria. Write a type and search parameters, such as Observation?code=1234-5.", place
        )
    return Criteria(resource_type, query)
