"""What a killed process leaves in MongoDB does not stand in the way of the living."""

import asyncio
import os
import sys
from typing import Any

from fhir_server.settings import Settings
from fhir_server.store import Store, processes
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from tests.store import records

VICTIM = """
import asyncio, sys
from fhir_server.settings import Settings
from fhir_server.store import Store
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded

async def main():
    settings = Settings.load()
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        database = client[settings.mongo.database]
        store = await Store.open(database, lambda resource_type: ())
        async with store.clock.writing(), client.start_session() as session, await session.start_transaction():
            await database.Patient.update_one({"_id": sys.argv[1]}, {"$set": {"r.active": True}}, session=session)
            print("in the middle", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_transaction_that_a_killed_process_left_open_is_ended(settings: Settings, database: Any) -> None:
    async with embedded(settings) as connection, connect(connection.url, settings) as client:
        store = await Store.open(client[settings.mongo.database], records.indexes_of)
        patient = await records.create(store)
        victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", VICTIM, patient),
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "FHIR_DATA_DIR": str(settings.data_dir),
                "FHIR_MONGO__DATABASE": settings.mongo.database,
                "FHIR_MONGO__CACHE_GB": "0.25",
            },
        )
        assert victim.stdout is not None
        assert await victim.stdout.readline() == b"in the middle\n"
        victim.kill()
        await victim.wait()
        # It would be in the way for a minute, and a write that somebody is in the way of for 20 seconds is refused.
        assert await records.update(store, "Patient", patient) == 2
        await store.close()


async def test_a_process_is_known_by_host_and_number() -> None:
    assert processes.name().endswith(f" {os.getpid()}")
    assert len(processes.name(2**22).encode()) <= 128
    assert processes.runs(os.getpid())
    assert not processes.runs(2**22 + 1)


def test_a_process_that_nobody_buried_does_not_run() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert not processes.runs(pid)
    os.waitpid(pid, 0)
