"""Ending what runs beside the requests."""

import asyncio
from typing import Any

PATIENT = 0.5
"""Seconds until a task that has outlived its cancellation is cancelled again."""


async def ended(*tasks: asyncio.Task[Any], patient: float = PATIENT) -> None:
    """Cancel tasks and wait for their end; also where one who waits is cancelled meanwhile, who hears of it then.

    They are told again and again. A cancellation that meets a call of the database may come out of it as an error of the network,
    which those who wait for a sick database take for its sickness; and before Python 3.12, `asyncio.wait_for`, in which the driver
    sends, forgets one that comes while the last bytes leave. What they fail with meanwhile is nobody's concern any more.

    Args:
        tasks: Those that are done already are let be.
        patient: Seconds until they are told again, which what they do at their end should not take.
    """
    told = [task for task in tasks if not task.done()]
    clock, left, cancelled = asyncio.get_running_loop().time, told, False
    while left:
        for task in left:
            task.cancel()
        until = clock() + patient
        while left and (seconds := until - clock()) > 0:
            try:
                await asyncio.wait(left, timeout=seconds)
            except asyncio.CancelledError:
                cancelled = True
            left = [task for task in left if not task.done()]
    for task in told:
        if not task.cancelled():
            task.exception()
    if cancelled:
        raise asyncio.CancelledError
