"""How notifications reach subscribers: what is sent, and the port that a way of sending fits into.

The subscription engine makes notifications and calls `Channel.deliver` for one at a time, in the order of their numbers; it
tries again what was not delivered. Of a channel whose subscribers come themselves (`pulled`, as websockets) it calls nothing:
whoever holds the connection takes the notifications from a `Feed`, in whichever process it lives.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Kind = Literal["handshake", "heartbeat", "event-notification"]


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to a subscriber.

    Attributes:
        subscription: Logical id of the Subscription.
        kind: Why it is sent.
        content_type: Media type of the body, as the Subscription asks for; empty where there is no body.
        body: What is sent, encoded.
        headers: What the Subscription wants to be said with it: (name, value) of each `channel.header`.
        first: Number of the first event that it tells of; 0 where it tells of none.
        last: Number of the last event that it tells of, or the number of events so far where it tells of none.
        seconds: How long a delivery may take.
        path: `Type/id` where the body is that resource and the endpoint is a service base, which it is PUT to (R4 without topic:
            "if a payload is included, the URL is interpreted as the service base, and an update (PUT) is made"); else empty.
        run: Which life of the Subscription it is of, whose events are counted.
    """

    subscription: str
    kind: Kind
    content_type: str
    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    first: int = 0
    last: int = 0
    seconds: float = 20.0
    path: str = ""
    run: str = ""


class Undelivered(Exception):
    """A notification did not reach the subscriber.

    Attributes:
        reason: Why, in a sentence that the owner of the Subscription may read; nothing of patients is in it.
        permanent: Whether it would be refused again however often it is tried.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class Channel(Protocol):
    """A way to subscribers, e.g. rest-hook. One object serves all Subscriptions of the process."""

    @property
    def pulled(self) -> bool:
        """Whether subscribers come for their notifications (see `Feed`), so that nothing is delivered."""
        ...

    def refuse(self, subscription: Mapping[str, Any]) -> str:
        """Return why a Subscription cannot use this channel as it is asked for, in a sentence; empty where it can."""
        ...

    async def deliver(self, endpoint: str, notification: Notification) -> None:
        """Send a notification and return when the subscriber has taken it.

        It takes no longer than `notification.seconds`, whatever the subscriber does. The same notification may be delivered
        again: of a process that dies nobody knows what it had sent.

        Args:
            endpoint: `Subscription.channel.endpoint`.
            notification: What is sent.

        Raises:
            Undelivered: It did not reach the subscriber, or was not taken.
        """
        ...


class Feed(Protocol):
    """Where a channel that is `pulled` takes notifications from."""

    async def bound(self, token: str) -> Sequence[str]:
        """Return the ids of the Subscriptions that a token of `$get-ws-binding-token` is for; none where it is not valid (any more).

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    async def opening(self, subscription: str) -> Notification | None:
        """Return the handshake of a connection, which makes a Subscription `active`; `None` where it is not there (any more).

        Its `last` is the number after which notifications follow: that of the last event of which it is known that the subscriber has it.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    async def marks(self, subscriptions: Collection[str]) -> Mapping[str, object]:
        """Return what changes whenever there may be something new of a Subscription, for each of these that is there.

        It is one question for all of them, and cheap: ask often.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    async def following(self, subscription: str, after: int, quiet: float) -> Notification | None:
        """Return the next notification after an event number, or a heartbeat where one is due, or `None` for nothing now.

        Ask again when the mark of the Subscription has changed, and every few seconds for heartbeats. What the subscriber may not see at this moment is not in it.

        Args:
            subscription: Logical id.
            after: `last` of the notification before.
            quiet: Seconds since something was sent on this connection.

        Raises:
            NotFound: The Subscription is not there, is off or has failed: close the connection.
            Unavailable: The database cannot be reached.
        """
        ...

    async def taken(self, subscription: str, run: str, number: int) -> None:
        """Note that the subscriber has all events up to a number of a run.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...
