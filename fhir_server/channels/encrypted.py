"""A client of a NATS server that says nothing in the open, whatever the server says.

A NATS server tells in clear whether it wants TLS, before there is any. The library believes it: an address with `tls://` makes
it ready for TLS, and it goes on without where the server, or somebody on the way, does not ask for it. With the login, and with
what it publishes.
"""

import ssl
from collections.abc import Iterable
from urllib.parse import ParseResult

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error


class Unencrypted(Error):
    """The server does not ask for TLS."""


class EncryptedTransport(TcpTransport):
    """A connection on which nothing can be written before it is encrypted."""

    def __init__(self) -> None:
        super().__init__()
        self._encrypted = False

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open a connection, to listen."""
        self._encrypted = False
        await super().connect(uri, buffer_size, connect_timeout)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Encrypt it."""
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        self._encrypted = True

    def write(self, payload: bytes) -> None:
        """Write bytes.

        Raises:
            Unencrypted: Everybody on the way could read them.
        """
        self._refuse_open()
        super().write(payload)

    def writelines(self, payload: Iterable[bytes]) -> None:
        """Write more of them.

        Raises:
            Unencrypted: Everybody on the way could read them.
        """
        self._refuse_open()
        super().writelines(payload)

    async def wait_closed(self) -> None:
        """Return when it is closed; where it could not be encrypted nobody is told of that."""
        if self._encrypted:
            await super().wait_closed()

    def __bool__(self) -> bool:
        """Tell the library that there is a transport, or it would make one of its own."""
        return True

    def _refuse_open(self) -> None:
        if not self._encrypted:
            raise Unencrypted


class EncryptedClient(Client):
    """A client whose connections are encrypted or are none."""

    def __init__(self) -> None:
        super().__init__()
        self._transport = EncryptedTransport()
