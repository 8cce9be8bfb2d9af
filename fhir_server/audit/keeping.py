"""Keeps the trail of a running process: what it stores is linked, links are sealed, and its key is published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fhir_server.audit.keys import SigningKey
from fhir_server.audit.lane import Lane
from fhir_server.audit.sealing import Sealer
from fhir_server.audit.spool import Spool
from fhir_server.model.background import ended
from fhir_server.settings import Settings
from fhir_server.store import Store


@asynccontextmanager
async def kept(store: Store, settings: Settings, spool: Spool) -> AsyncIterator[None]:
    """Link and seal what is stored inside, and bring in what waits on disk; nothing where no trail is kept.

    Raises:
        Unavailable: The database cannot be reached.
    """
    if not settings.keeps_trail:
        yield
        return
    await store.trail.open()
    lane = Lane(store.chain, store.clock.now)
    key = SigningKey.of(settings.data_dir)
    sealer = Sealer(store.chain, store.clock.now, lane, key, settings.audit.seal_seconds)
    store.trail.follow(lane.take)
    tasks = (
        asyncio.create_task(sealer.keep(alone=await store.clock.alone()), name="audit seals"),
        asyncio.create_task(spool.keep(lane.flush), name="audit spool"),
    )
    try:
        yield
    finally:
        await ended(*tasks)
        await spool.close(lane.flush)
        await store.trail.close()
        await lane.close()
        if lane.has_linked:
            await sealer.close()
        store.trail.follow(None)
