"""Tasks that outlive a cancellation end all the same."""

import asyncio

from fhir_server.model.background import ended


async def test_a_task_that_takes_a_cancellation_for_a_failure_is_cancelled_again() -> None:
    taken = 0

    async def outliving() -> None:
        nonlocal taken
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                taken += 1
                if taken > 1:
                    raise

    task = asyncio.create_task(outliving())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await ended(task)
    assert (taken, task.cancelled()) == (2, True)
