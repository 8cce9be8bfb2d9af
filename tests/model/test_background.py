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


async def test_who_waits_for_the_end_and_is_cancelled_hears_of_it_when_the_tasks_have_ended() -> None:
    tidied = False

    async def tidying() -> None:
        nonlocal tidied
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)
            tidied = True

    task = asyncio.create_task(tidying())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(ended(task, patient=30))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await ended(waiting)
    assert (tidied, task.cancelled(), waiting.cancelled()) == (True, True, True)


async def test_a_task_that_has_failed_before_keeps_its_error() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    await ended(task)
    assert isinstance(task.exception(), ValueError)
