"""Notifications over a websocket that the subscriber opens; `http.notifications` holds it."""

from collections.abc import Mapping
from typing import Any

from fhir_server.model.channel import Notification, Undelivered

PLACE = "$subscriptions-ws"
"""Where websockets are opened, below the service base."""


class Websocket:
    """Implements `Channel` for subscribers who come for their notifications (`Feed`)."""

    pulled = True

    def refuse(self, subscription: Mapping[str, Any]) -> str:
        """Return why a Subscription cannot be notified so, empty where it can."""
        channel = subscription["channel"]
        if channel.get("endpoint"):
            return "A websocket has no channel.endpoint: the subscriber opens it, at the URL that $get-ws-binding-token tells."
        if channel.get("header"):
            return "A websocket has no channel.header: nothing is said with a notification but the notification."
        return ""

    async def deliver(self, endpoint: str, notification: Notification) -> None:
        """Deliver nothing: whoever holds the connection does.

        Raises:
            Undelivered: Always.
        """
        raise Undelivered("Subscribers come for what is sent over websockets.")
