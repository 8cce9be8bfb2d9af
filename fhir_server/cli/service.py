"""A running service inside of a command that writes much: on the event loop and with the garbage collector of a server."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fhir_server.settings import Settings

if TYPE_CHECKING:
    from fhir_server.main import Service

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine returns."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator["Service"]:
    """Yield a service that stands; its definitions are not walked through at every collection of garbage.

    Raises:
        MongoUnavailable: No usable MongoDB.
    """
    from fhir_server.http import garbage
    from fhir_server.main import running

    async with running(settings) as service:
        garbage.settle()
        yield service
