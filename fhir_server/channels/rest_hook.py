"""Notifications by HTTP, to a URL of the subscriber: POST, or PUT of the resource where the Subscription has no topic (R4)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fhir_server.model.channel import Notification, Undelivered
from fhir_server.outbound import Outbound, Unreached, refuse_header

LONGEST_HEADER = 4_096
MOST_HEADERS = 20
CONTENT = frozenset({"content-type", "content-encoding", "accept-encoding"})
"""Headers that say how a notification is written; the Subscription says it in `channel.payload`."""


class RestHook:
    """Implements `Channel` by requests to the endpoint.

    Args:
        outbound: What sends them, as far as they may go there.
    """

    pulled = False

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def refuse(self, subscription: Mapping[str, Any]) -> str:
        """Return why a Subscription cannot be notified so, empty where it can."""
        channel = subscription["channel"]
        if not channel.get("endpoint"):
            return "A rest-hook needs channel.endpoint, the URL that notifications are sent to."
        if why := self._outbound.refuse(channel["endpoint"]):
            return f"channel.endpoint cannot be called. {why}"
        return refuse_headers(channel.get("header", ()))

    async def deliver(self, endpoint: str, notification: Notification) -> None:
        """Send a notification.

        Raises:
            Undelivered: No answer came in time, or one other than 2xx. It is permanent where the endpoint is never called,
                or says that it is gone (410).
        """
        headers = joined(notification)
        if notification.content_type:
            headers["Content-Type"] = notification.content_type
        method, url = ("PUT", _below(endpoint, notification.path)) if notification.path else ("POST", endpoint)
        if why := self._outbound.refuse(url):
            raise Undelivered(f"The endpoint cannot be called. {why}", permanent=True)
        try:
            answer = await self._outbound.send(
                method, url, headers=headers, content=notification.body, seconds=notification.seconds
            )
        except Unreached as error:
            raise Undelivered(str(error)) from None
        if not 200 <= answer.status < 300:
            why = " Redirects are not followed." if 300 <= answer.status < 400 else ""
            gone = answer.status == HTTPStatus.GONE
            raise Undelivered(f"The endpoint answered with status {answer.status}.{why}", permanent=gone)


def refuse_headers(lines: Any) -> str:
    """Return why the entries of `channel.header` cannot be sent as headers, empty where they can."""
    if len(lines) > MOST_HEADERS:
        return f"channel.header has more than {MOST_HEADERS} entries."
    for line in lines:
        name, _, value = line.partition(":")
        if len(line) > LONGEST_HEADER:
            return f"An entry of channel.header is longer than {LONGEST_HEADER:,} characters."
        if why := refuse_header(name.strip(), value):
            return f"channel.header cannot be sent. {why}"
        if name.strip().lower() in CONTENT:
            return f"The header {name.strip()} is not for channel.header: channel.payload says how notifications are written."
    return ""


def joined(notification: Notification) -> dict[str, str]:
    """Return what is said with a notification, with repeated headers in one."""
    headers: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for name, value in notification.headers:
        first = spelt.setdefault(name.lower(), name)
        headers[first] = f"{headers[first]}, {value}" if first in headers else value
    return headers


def _below(endpoint: str, path: str) -> str:
    """Return the URL of a resource at a service base."""
    parts = urlsplit(endpoint)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()
