"""An AMQP 0-9-1 broker such as RabbitMQ: persistent messages to queues that exist, each confirmed."""

import asyncio
from typing import TYPE_CHECKING

from fhir_server.model.channel import Undelivered

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection

    from fhir_server.channels.message import Parcel


class Amqp:
    """Implements `Broker`.

    Args:
        url: `amqp://…` or `amqps://…`, with login and virtual host.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._turn = asyncio.Lock()

    async def publish(self, parcel: "Parcel") -> None:
        """Return when the broker has a message in its queue.

        Raises:
            Undelivered: It does not.
        """
        from aio_pika import DeliveryMode, Message
        from aio_pika.exceptions import AMQPError, PublishError
        from aiormq.exceptions import AMQPError as Broken

        message = Message(
            parcel.body,
            headers=dict(parcel.headers),
            content_type=parcel.content_type or None,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        try:
            channel = await self._connected()
            await channel.default_exchange.publish(message, parcel.subject, mandatory=True)
        except PublishError:
            raise Undelivered("The broker has no queue of that name.") from None
        except (AMQPError, Broken, OSError, RuntimeError) as error:
            await self.close()
            raise Undelivered(f"The broker cannot be reached ({type(error).__name__}).") from None

    async def close(self) -> None:
        """Close the connection where there is one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection:
            await connection.close()

    async def _connected(self) -> "AbstractChannel":
        import aio_pika

        async with self._turn:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                self._connection = await aio_pika.connect(self._url)
                self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            return self._channel
