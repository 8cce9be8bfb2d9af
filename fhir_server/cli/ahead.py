"""The embedded MongoDB started ahead: its start and the imports of the server take about as long, and can go side by side."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fhir_server.settings import Settings


@contextmanager
def started_ahead(settings: Settings) -> Iterator[Callable[[], None]]:
    """Begin to start the embedded MongoDB in a thread, which keeps a share in it; yield what gives the share up.

    To be called when the server has its own share, and done at the end at the latest. Where MongoDB does not start, the
    server will try again and say why.
    """
    released = threading.Event()
    thread = threading.Thread(target=_hold, args=(settings, released), name="mongod-ahead", daemon=True)
    thread.start()
    try:
        yield released.set
    finally:
        released.set()
        thread.join()


def _hold(settings: Settings, released: threading.Event) -> None:
    from fhir_server.store.client import MongoUnavailable
    from fhir_server.store.embedded import embedded

    async def hold() -> None:
        async with embedded(settings):
            await asyncio.to_thread(released.wait)

    with contextlib.suppress(MongoUnavailable):
        asyncio.run(hold())
