"""Ending what runs beside the requests."""

import asyncio
from typing import Any

PATIENT = 0.5
"""Seconds until a task that has outlived its cancellation is cancelled again."""


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end.

    They are told again and again, because a cancellation that meets a call of the database may come out of it as an error of
    the network, which those who wait for a sick database take for its sickness.
    """
    left = {*tasks}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENT)
