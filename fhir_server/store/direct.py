"""Commands on the driver's connections, without what the driver builds around each of them.

`AsyncDatabase.command` makes three tasks, two waits and a session for a question that takes the database 40 µs: 300 µs of this
process's CPU, of which 170 are saved here (docs/decisions/direct-commands.md). Connections, logins, the choice of the member
that is asked, and what a failure means for it stay with the driver, and so do commands where its insides are not those known
here.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar, cast, overload

import pymongo
from bson.codec_options import DEFAULT_CODEC_OPTIONS, CodecOptions
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DocumentTooLarge, OperationFailure, _OperationCancelled
from pymongo.helpers_shared import _check_command_response
from pymongo.message import _UNPACK_REPLY, _op_msg

Doc = TypeVar("Doc", bound=Mapping[str, Any])

KNOWN = frozenset({(4, 20)})
"""Versions of the driver whose insides are used here."""

DIRECT = pymongo.version_tuple[:2] in KNOWN

LOOK_SECONDS = 0.5
"""How often it is looked whether the driver has given a connection up, as the driver itself does."""

LOGIN_EXPIRED = 391


def fits(client: AsyncMongoClient[Any]) -> bool:
    """Return whether commands of a client go this way: not where somebody listens to them, for the driver tells of them."""
    listeners = client._event_listeners  # noqa: SLF001 - the insides that are meant above, here and below
    return DIRECT and not (listeners is not None and listeners.enabled_for_commands)


@overload
async def ask(
    database: AsyncDatabase[Any], command: MutableMapping[str, Any], *, session: AsyncClientSession | None = None
) -> dict[str, Any]: ...


@overload
async def ask(
    database: AsyncDatabase[Any],
    command: MutableMapping[str, Any],
    options: CodecOptions[Doc],
    session: AsyncClientSession | None = None,
) -> Doc: ...


async def ask(
    database: AsyncDatabase[Any],
    command: MutableMapping[str, Any],
    options: CodecOptions[Any] = DEFAULT_CODEC_OPTIONS,
    session: AsyncClientSession | None = None,
) -> Any:
    """Run a command on the primary, once, and return the reply, as `database.command` does.

    Args:
        database: Where.
        command: It says itself what is wanted of reads and writes (`readConcern`, `writeConcern`), outside of transactions.
        options: How the reply is decoded.
        session: Of the transaction that it belongs to.

    Raises:
        PyMongoError: As the driver does.
    """
    client = database.client
    if not fits(client):
        return await database.command(command, codec_options=options, session=session)
    server = await client._select_server(ReadPreference.PRIMARY, session, next(iter(command)))  # noqa: SLF001
    async with client._checkout(server, session) as connection:  # noqa: SLF001
        if session is not None:
            session._apply_to(command, False, ReadPreference.PRIMARY, connection)  # noqa: SLF001
            connection.send_cluster_time(command, session, client)
            if session._starting_transaction:  # noqa: SLF001
                session._transaction.set_in_progress()  # noqa: SLF001
        connection.add_server_api(command)
        try:
            reply = await _exchanged(connection, database.name, command, options)
        except BaseException as error:  # noqa: BLE001 - the connection is of no use to anybody else
            await connection._raise_connection_failure(error)  # noqa: SLF001
        if session is not None:
            await client._process_response(reply, session)  # noqa: SLF001
        try:
            _check_command_response(cast(Any, reply), connection.max_wire_version)
        except OperationFailure as error:
            if error.code != LOGIN_EXPIRED or session is not None:
                raise
            reply = None
    if reply is None:
        return await database.command(command, codec_options=options)
    return reply


async def _exchanged(connection: Any, name: str, command: MutableMapping[str, Any], options: CodecOptions[Any]) -> Any:
    """Return the reply to a command that is sent on a connection."""
    number, message, _, largest = _op_msg(0, command, name, None, options, connection.compression_context)
    if largest > connection.max_bson_size:
        raise DocumentTooLarge(f"a document of {largest} bytes fits no document of this database")
    protocol = connection.conn.get_conn
    watch = _Watch(connection, protocol)
    try:
        await protocol.write(message)
        data, code = await protocol.read(number, connection.max_message_size)
    finally:
        watch.handle.cancel()
    return _UNPACK_REPLY[code](data).unpack_response(codec_options=options)[0]


class _Watch:
    """Ends the waiting for a reply that takes longer than the driver waits, or whose connection the driver gave up."""

    __slots__ = ("_connection", "_loop", "_protocol", "_until", "handle")

    def __init__(self, connection: Any, protocol: Any) -> None:
        self._connection = connection
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + (protocol.gettimeout or float("inf"))
        self.handle = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self._connection.cancel_context.cancelled:
            self._protocol.close(_OperationCancelled("operation cancelled"))
        elif self._loop.time() > self._until:
            self._protocol.close(TimeoutError("timed out"))
        else:
            self.handle = self._loop.call_later(LOOK_SECONDS, self._look)
