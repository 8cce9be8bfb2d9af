"""A NATS server: plain, where it has taken a message when it answers the ping after it, or JetStream, which stores and acknowledges."""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fhir_server.model.channel import Undelivered

if TYPE_CHECKING:
    from nats.aio.client import Client

    from fhir_server.channels.message import Parcel

CONNECT_SECONDS = 5
LONG = 3600
"""Seconds that the library may wait for an answer; whoever publishes waits less."""


class Nats:
    """Implements `Broker`.

    Args:
        url: `nats://…` or `jetstream://…`, either with `tls+` before it: then the server must prove who it is by a certificate, and
            nothing is said in the open.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        scheme = parts.scheme.removeprefix("tls+")
        self._url = parts._replace(scheme="tls" if scheme != parts.scheme else "nats", path="").geturl()
        self._encrypted = scheme != parts.scheme
        self._stored = scheme == "jetstream"
        self._client: Client | None = None
        self._turn = asyncio.Lock()

    async def publish(self, parcel: "Parcel") -> None:
        """Return when the server, or a stream of it, has a message.

        Raises:
            Undelivered: It does not.
        """
        from nats.errors import Error, MaxPayloadError
        from nats.js.errors import NoStreamResponseError

        from fhir_server.channels.encrypted import Unencrypted

        headers = dict(parcel.headers)
        if parcel.content_type:
            headers["Content-Type"] = parcel.content_type
        try:
            client = await self._connected()
            if self._stored:
                await client.jetstream(timeout=LONG).publish(parcel.subject, parcel.body, headers=headers)
            else:
                await client.publish(parcel.subject, parcel.body, headers=headers)
                await client.flush(LONG)
        except MaxPayloadError:
            raise Undelivered("The notification is larger than the broker takes.", permanent=True) from None
        except NoStreamResponseError:
            raise Undelivered("The broker has no stream that keeps messages of that subject.") from None
        except Unencrypted:
            await self.close()
            raise Undelivered("The broker does not encrypt, so nothing was said to it.") from None
        except (Error, OSError) as error:
            await self.close()
            raise Undelivered(f"The broker cannot be reached ({type(error).__name__}).") from None

    async def close(self) -> None:
        """Close the connection where there is one."""
        client, self._client = self._client, None
        if client:
            await client.close()

    async def _connected(self) -> "Client":
        from nats.aio.client import Client

        from fhir_server.channels.encrypted import EncryptedClient

        async with self._turn:
            if self._client is None or not self._client.is_connected:
                await self.close()
                client = EncryptedClient() if self._encrypted else Client()
                try:
                    await client.connect(
                        [self._url],
                        error_cb=_quiet,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        connect_timeout=CONNECT_SECONDS,
                        name="aquifer",
                    )
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client


async def _quiet(error: Exception) -> None:
    """Say nothing: whoever publishes is told."""
