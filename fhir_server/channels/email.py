"""Notifications by e-mail: a few words, and the notification as an attachment."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from fhir_server.model.channel import Kind, Notification, Undelivered
from smart_auth import messages
from smart_auth.messages import Attachment, Message, Messenger, is_address

Content = Literal["empty", "id-only", "full-resource"]
LEVELS: Mapping[str, int] = {"empty": 0, "id-only": 1, "full-resource": 2}
LEVEL = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
HEARTBEAT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-heartbeat-period"
SHORTEST_HEARTBEAT = 3600
LONGEST_SUBJECT = 200
SECONDS = 30.0
"""How long handing over a letter takes at most, where the notification would allow more."""

SUBJECTS: Mapping[Kind, str] = {
    "handshake": "Notifications begin",
    "heartbeat": "Nothing new",
    "event-notification": "Something new",
}
TEXTS: Mapping[Kind, str] = {
    "handshake": "This address was given for notifications of a health record.",
    "heartbeat": "Notifications work; there was nothing to tell since the last one.",
    "event-notification": "Something was written into the record that the subscription asks for.",
}


class Email:
    """Implements `Channel` by letters.

    Args:
        messenger: What carries them.
        recipients: Domains (`clinic.example`) and addresses (`duty@clinic.example`) that may be written to.
        content: How much a letter may tell at most.
    """

    pulled = False

    def __init__(self, messenger: Messenger, recipients: Sequence[str], content: Content) -> None:
        self._messenger = messenger
        self._recipients = frozenset(one.lower() for one in recipients)
        self._content = content

    def refuse(self, subscription: Mapping[str, Any]) -> str:
        """Return why a Subscription cannot be notified so, empty where it can."""
        channel = subscription["channel"]
        if why := self._refuse_address(channel.get("endpoint", "")):
            return why
        if _level(channel) > LEVELS[self._content]:
            return (
                f"E-mail tells no more than '{self._content}' here, because it is read by whoever carries it. "
                f"State that level in the extension {LEVEL} of channel.payload, or ask for a rest-hook."
            )
        if any(_name(line) != "subject" or not _is_subject(line) for line in channel.get("header", ())):
            return "The only header of e-mail that can be chosen is Subject, in one line of printable characters."
        beats = (row.get("valueUnsignedInt", 0) for row in channel.get("extension", ()) if row.get("url") == HEARTBEAT)
        if any(0 < beat < SHORTEST_HEARTBEAT for beat in beats):
            return f"Heartbeats by e-mail come no more often than every {SHORTEST_HEARTBEAT:,} seconds."
        return ""

    async def deliver(self, endpoint: str, notification: Notification) -> None:
        """Hand a letter over to the mail server, or write it into the folder of letters.

        Raises:
            Undelivered: It was not taken. It is permanent where the address may not be written to (any more).
        """
        import asyncio

        if why := self._refuse_address(endpoint):
            raise Undelivered(why, permanent=True)
        chosen = next((value for name, value in notification.headers if name.lower() == "subject"), "")
        attached = None
        if notification.body:
            ending = "xml" if "xml" in notification.content_type else "json"
            attached = Attachment(notification.content_type, f"notification.{ending}", notification.body)
        message = Message(
            "notification", _address(endpoint), chosen or SUBJECTS[notification.kind], _text(notification), attached
        )
        seconds = min(notification.seconds, SECONDS)
        try:
            async with asyncio.timeout(seconds):
                await self._messenger.send(message)
        except messages.Undelivered:
            # Which server it was, and what that said, is for the operator; the owner of the Subscription is somebody else.
            raise Undelivered("The letter was not taken by the mail server.") from None
        except TimeoutError:
            raise Undelivered(f"The mail server did not take the letter within {seconds:g} seconds.") from None

    def _refuse_address(self, endpoint: str) -> str:
        address = _address(endpoint)
        if not address:
            return "E-mail needs channel.endpoint with one address, such as mailto:duty@clinic.example."
        domain = address.rpartition("@")[2]
        if not {address, domain} & self._recipients:
            return f"Nobody at {domain} may be written to; the operator names domains and addresses in channels.recipients."
        return ""


def _address(endpoint: str) -> str:
    """Return the address of a mailto URL, in lower case; empty where it is none, or has anything besides."""
    parts = urlsplit(endpoint)
    address = unquote(parts.path).lower()
    alone = parts.scheme == "mailto" and not parts.query and not parts.fragment
    return address if alone and is_address(address) else ""


def _level(channel: Mapping[str, Any]) -> int:
    """Return how much a Subscription asks for: that of its level; everything, for a payload without one."""
    rows = channel.get("_payload", {}).get("extension", ())
    stated = next((row.get("valueCode", "") for row in rows if row.get("url") == LEVEL), "")
    return LEVELS.get(stated, 2) if stated or channel.get("payload") else 0


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def _is_subject(line: str) -> bool:
    text = line.partition(":")[2].strip()
    return bool(text) and len(text) <= LONGEST_SUBJECT and text.isprintable()


def _text(notification: Notification) -> str:
    numbers = ""
    if notification.first:
        alone = notification.first == notification.last
        numbers = f" Event {notification.last}." if alone else f" Events {notification.first} to {notification.last}."
    return f"{TEXTS[notification.kind]}{numbers}\n\nSubscription/{notification.subscription}\n"
