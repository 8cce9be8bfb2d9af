"""The port to whatever carries letters to people: e-mail, or a folder of them (`outbox`)."""

import re
from dataclasses import dataclass, field
from typing import Literal, Protocol

MessageKind = Literal["invitation", "reset", "notice", "notification"]
MOST_ADDRESS = 254

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)


class Undelivered(Exception):
    """A message could not be handed over. The text says why, to an operator; never to whoever asked for the message."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a letter.

    Attributes:
        media: Media type.
        name: File name.
        content: What is in it.
    """

    media: str
    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A letter in plain text.

    Attributes:
        kind: What it is for.
        to: E-mail address.
        subject: One line.
        text: The letter; it may hold a secret link.
        attached: A file that goes with it.
    """

    kind: MessageKind
    to: str
    subject: str
    text: str = field(repr=False)
    attached: Attachment | None = None


class Messenger(Protocol):
    """Carries messages."""

    async def send(self, message: Message) -> None:
        """Return when somebody else has taken responsibility for the message.

        Raises:
            Undelivered: Nobody has.
        """
        ...


class Nowhere:
    """Implements `Messenger` for a server without a way to write to people."""

    async def send(self, message: Message) -> None:
        """Refuse."""
        raise Undelivered("No way to send messages is configured.")


def is_address(text: str) -> bool:
    """Return whether a text is an e-mail address that a letter can be sent to (the form that browsers accept, in ASCII)."""
    return len(text) <= MOST_ADDRESS and _ADDRESS.fullmatch(text) is not None
