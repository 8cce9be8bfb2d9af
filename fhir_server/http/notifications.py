"""Notifications over websockets (Subscriptions R5 Backport 1.1.0; R4 3.4.4): whoever has a token binds the connection with it.

The connection may be held by any process: it goes by what the database has, and not by who writes or works. One task serves it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from fhir_server.channels.websocket import PLACE
from fhir_server.http.target import MOUNT, raw
from fhir_server.model import json
from fhir_server.model.channel import Feed, Notification
from fhir_server.model.errors import NotFound, Unavailable
from fhir_server.model.outcome import outcome
from profiles.issue import Issue

PATH = MOUNT + b"/" + PLACE.encode()
BIND = "bind-with-token:"
BIND_SECONDS = 10.0
"""How long a connection may stay without being bound."""

LOOK_SECONDS = 0.2
"""Seconds between two looks for something new, which is one question for all connections together."""

CHECK_SECONDS = 5.0
"""Seconds after which a connection is looked after in any case: for heartbeats, and for rights that have ended."""

MOST_BOUND = 100
MOST_MESSAGES = 60
"""Messages of a client in a minute."""

AT_ONCE = 16
"""Looks into the database at the same time, of all connections together."""

MOST_UNANSWERED = 1000
"""Pings of which it is remembered what their answers mean; what is forgotten comes again over the next connection."""

MOST_REASON = 120
NORMAL, POLICY, LATER = 1000, 1008, 1013
STARTING = "The server is starting. Try again in a moment."


@dataclass(slots=True)
class Following:
    """How far a connection is with one Subscription.

    Attributes:
        after: Number of the last event that was sent.
        sent: When something was sent last, monotonic time.
    """

    after: int
    sent: float


@dataclass(slots=True, eq=False)
class Connection:
    """A connection under way.

    Attributes:
        send: Sends to it.
        began: When it was accepted, monotonic time.
        bound: The Subscriptions by id.
        minute: When the minute began in which messages are counted.
        messages: How many came in it.
        due: Subscriptions that there may be something new of.
        checked: When all were looked after, monotonic time.
        wake: Set when there is something to do.
        pinged: What the subscriber has when it answers a ping: Subscription, run and number of the last event.
        pings: How many pings there were.
    """

    send: Send
    began: float
    bound: dict[str, Following] = field(default_factory=dict)
    minute: float = 0.0
    messages: int = 0
    due: set[str] = field(default_factory=set)
    checked: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pinged: dict[bytes, tuple[str, str, int]] = field(default_factory=dict)
    pings: int = 0

    @property
    def pause(self) -> float:
        """Seconds until there is something to do in any case."""
        if not self.bound:
            return max(self.began + BIND_SECONDS - time.monotonic(), 0.0)
        return LOOK_SECONDS if self.due else CHECK_SECONDS


class Ended(Exception):
    """The connection is to be closed.

    Attributes:
        code: Why, as RFC 6455 7.4 has it; 0 where the client is gone already.
        reason: The same in words.
    """

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Notifications:
    """Serves websockets.

    Args:
        feed: Returns where notifications come from; `None` while the server starts.
        most: Most connections at a time.
    """

    def __init__(self, feed: Callable[[], Feed | None], most: int) -> None:
        self._feed = feed
        self._most = most
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._followers: dict[str, set[Connection]] = {}
        self._watching: asyncio.Task[None] | None = None
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it ends."""
        await receive()
        feed = self._feed()
        if (scope.get("raw_path") or raw(scope["path"])) != PATH:
            await _refuse(
                send, 404, "not-found", f"Websockets are at {PATH.decode()}, for notifications of Subscriptions."
            )
        elif feed is None:
            await _refuse(send, 503, "transient", STARTING)
        elif self.open >= self._most:
            await _refuse(send, 503, "throttled", "There are too many websockets on this server. Try again later.")
        else:
            self.open += 1
            try:
                await self._serve(feed, receive, send)
            finally:
                self.open -= 1

    async def _serve(self, feed: Feed, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        connection = Connection(send, time.monotonic())
        heard = self._listen(connection, receive)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(connection.pause):
                        await connection.wake.wait()
                connection.wake.clear()
                if heard.done():
                    message = heard.result()
                    heard = self._listen(connection, receive)
                    if message["type"] == "websocket.pong":
                        await _note(feed, connection, message["bytes"])
                    else:
                        await self._hear(feed, connection, message)
                if connection.bound:
                    await self._tell(feed, connection)
                else:
                    _wait_for_token(connection)
        except Ended as end:
            if end.code:
                await _in_time(
                    send({"type": "websocket.close", "code": end.code, "reason": end.reason[:MOST_REASON]}), 1.0
                )
        except (OSError, TimeoutError):
            pass  # gone, or it does not read what it is sent
        finally:
            heard.cancel()
            self._forget(connection)

    def _listen(self, connection: Connection, receive: Receive) -> asyncio.Future[Any]:
        heard = asyncio.ensure_future(receive())
        heard.add_done_callback(lambda _: connection.wake.set())
        return heard

    async def _hear(self, feed: Feed, connection: Connection, message: Mapping[str, Any]) -> None:
        """Bind the connection where that is what the client asks for.

        Raises:
            Ended: It is gone, says too much, or has no token that counts.
        """
        if message["type"] == "websocket.disconnect":
            raise Ended
        now = time.monotonic()
        if now - connection.minute > 60:
            connection.minute, connection.messages = now, 0
        connection.messages += 1
        if connection.messages > MOST_MESSAGES:
            raise Ended(POLICY, f"More than {MOST_MESSAGES} messages came in a minute.")
        text = (message.get("text") or "").strip()
        if not text.startswith(BIND):
            if text.startswith("bind "):
                raise Ended(POLICY, f"A connection is bound by '{BIND} TOKEN'. $get-ws-binding-token gives the token.")
            return
        try:
            async with self._turns:
                ids = await feed.bound(text.removeprefix(BIND).strip())
            for one in ids:
                if one not in connection.bound:
                    await self._open(feed, connection, one)
        except Unavailable as error:
            raise Ended(LATER, str(error)) from None
        if not ids:
            raise Ended(POLICY, "The token is not valid, or not any more. Ask for another one.")

    async def _open(self, feed: Feed, connection: Connection, subscription: str) -> None:
        if len(connection.bound) >= MOST_BOUND:
            raise Ended(POLICY, f"A connection is bound to {MOST_BOUND} Subscriptions at most.")
        async with self._turns:
            handshake = await feed.opening(subscription)
        if handshake is None:
            raise Ended(POLICY, f"Subscription/{subscription} is not there any more, is off, or has failed.")
        await _say(connection, handshake)
        connection.bound[subscription] = Following(handshake.last, time.monotonic())
        connection.due.add(subscription)
        self._followers.setdefault(subscription, set()).add(connection)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(feed), name="websockets")

    def _forget(self, connection: Connection) -> None:
        for subscription in connection.bound:
            self._followers[subscription].discard(connection)
            if not self._followers[subscription]:
                del self._followers[subscription]
        if not self._followers and self._watching:
            self._watching.cancel()
            self._watching = None

    async def _watch(self, feed: Feed) -> None:
        """Wake the connections of Subscriptions that there may be something new of, until there are none."""
        known: Mapping[str, object] = {}
        while self._followers:
            try:
                marks = await feed.marks([*self._followers])
            except Unavailable:
                marks = known
            for subscription, connections in self._followers.items():
                if known.get(subscription) != marks.get(subscription):
                    for connection in connections:
                        connection.due.add(subscription)
                        connection.wake.set()
            known = marks
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self, feed: Feed, connection: Connection) -> None:
        """Send what is new.

        Raises:
            Ended: A Subscription is not served any more.
            OSError: The client is gone.
            TimeoutError: It does not read.
        """
        now = time.monotonic()
        if now - connection.checked >= CHECK_SECONDS:
            connection.checked = now
            connection.due.update(connection.bound)
        for subscription in (*connection.due,):
            following = connection.bound[subscription]
            try:
                async with self._turns:
                    notification = await feed.following(
                        subscription, following.after, time.monotonic() - following.sent
                    )
            except NotFound as error:
                raise Ended(POLICY, str(error)) from None
            except Unavailable:
                return  # what there is to tell is told when the database is back
            if notification is None:
                connection.due.discard(subscription)
                continue
            await _say(connection, notification)
            if notification.first:
                await _ask(connection, notification)
            following.after = max(following.after, notification.last)
            following.sent = time.monotonic()
            connection.wake.set()  # there may be more


def _wait_for_token(connection: Connection) -> None:
    """Do so, if it has not been too long.

    Raises:
        Ended: It has.
    """
    if time.monotonic() - connection.began > BIND_SECONDS:
        raise Ended(POLICY, f"Send '{BIND} TOKEN' within {BIND_SECONDS:g} seconds.")


async def _say(connection: Connection, notification: Notification) -> None:
    """Send a notification; of a Subscription without payload what R4 has for that."""
    bare = f"{'bound' if notification.kind == 'handshake' else 'ping'} {notification.subscription}"
    text = notification.body.decode() if notification.body else bare
    await _in_time(connection.send({"type": "websocket.send", "text": text}), notification.seconds)


async def _ask(connection: Connection, notification: Notification) -> None:
    """Ask by a ping whether the subscriber has what it was sent; before it answers that is not known."""
    connection.pings += 1
    payload = connection.pings.to_bytes(8, "big")
    connection.pinged[payload] = notification.subscription, notification.run, notification.last
    if len(connection.pinged) > MOST_UNANSWERED:
        del connection.pinged[next(iter(connection.pinged))]
    await _in_time(connection.send({"type": "websocket.ping", "bytes": payload}), notification.seconds)


async def _note(feed: Feed, connection: Connection, payload: bytes) -> None:
    """Note what the subscriber has, which has answered a ping."""
    taken: dict[tuple[str, str], int] = {}
    for each in [*connection.pinged]:
        if each <= payload:
            subscription, run, number = connection.pinged.pop(each)
            taken[subscription, run] = number
    for (subscription, run), number in taken.items():
        with contextlib.suppress(Unavailable):  # then it comes again
            await feed.taken(subscription, run, number)


async def _in_time(sending: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await sending


async def _refuse(send: Send, status: int, code: str, text: str) -> None:
    """Answer a request for a websocket by an ordinary answer."""
    body = json.encode(outcome([Issue("error", code, text)]))
    headers = [(b"content-type", b"application/fhir+json; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
