"""What the processes of one load say to each other: messages of msgpack over a socket, each after its length."""

import asyncio
from collections.abc import Sequence

import msgspec

from fhir_server.loading.work import Begin, Done, Task

_LENGTH = 4


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The answer: tasks may come."""


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A batch to store."""

    task: Task


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """The instances that a batch writes, and those that it refers to."""

    number: int
    keys: Sequence[str]
    needs: Sequence[str]


class Go(msgspec.Struct, frozen=True, tag="go"):
    """Nothing that is before a batch writes one of them any more."""

    number: int


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """What became of a batch."""

    done: Done


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why a batch was not stored.

    Attributes:
        number: The batch.
        forbidden: Whether who asked may not go on; else it may be tried again.
        text: A sentence.
    """

    number: int
    forbidden: bool
    text: str


Message = Begin | Ready | Ask | Keys | Go | Stored | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send a message."""
    data = _encode(message)
    writer.write(len(data).to_bytes(_LENGTH) + data)


async def receive(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message, `None` when the other side has ended."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH))
        found: Message = _decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return found
