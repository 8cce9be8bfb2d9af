"""A mail server that speaks as much SMTP (RFC 5321) as a client needs that sends one letter, and writes down what it hears."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

ANSWERS: Mapping[str, str] = {
    "EHLO": "250-mail.example\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 AUTH PLAIN",
    "STARTTLS": "220 go",
    "AUTH": "235 yes",
    "DATA": "354 go",
    "QUIT": "221 bye",
}


class Server:
    """What a mail server was told.

    Args:
        tls: Its certificate.
        refuse: The command that it refuses.
    """

    def __init__(self, tls: ssl.SSLContext, refuse: str = "") -> None:
        self.port = 0
        self.said: list[str] = []
        self.letters: list[bytes] = []
        self._tls = tls
        self._refuse = refuse

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._say(writer, "220 mail.example")
            while line := (await reader.readline()).decode().strip():
                self.said.append(line)
                await self._answer(line.split()[0].upper(), reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, word: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if word == self._refuse:
            await self._say(writer, "550 not here")
            return
        await self._say(writer, ANSWERS.get(word, "250 yes"))
        if word == "STARTTLS":
            await writer.start_tls(self._tls)
        elif word == "DATA":
            self.letters.append(await reader.readuntil(b"\r\n.\r\n"))
            await self._say(writer, "250 taken")

    async def _say(self, writer: asyncio.StreamWriter, text: str) -> None:
        writer.write(f"{text}\r\n".encode())
        await writer.drain()


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext, *, at_once: bool = False, refuse: str = "") -> AsyncIterator[Server]:
    """Yield a server; `at_once` encrypts from the first byte."""
    server = Server(tls, refuse)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls if at_once else None)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
