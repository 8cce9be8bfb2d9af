"""Asks a house something, and gives back what that left in the trail."""

from typing import Any
from uuid import uuid4

import httpx

from tests.access.house import Caller, House

Row = dict[str, Any]


async def left(
    house: House, caller: Caller, method: str, path: str, body: Any = None, **headers: str
) -> tuple[httpx.Response, list[Row]]:
    """Return the answer to a request, and the rows that it left, in the order in which they were made."""
    request_id = uuid4().hex
    answer = await caller.ask(method, path, body, {"X-Request-Id": request_id, **headers})
    return answer, await rows(house, rq=request_id)


async def rows(house: House, **fields: Any) -> list[Row]:
    """Return rows with these values, in the order in which they were made."""
    found = await house.service.store.trail.find(fields, 1000, (("_id", 1),))
    return [dict(row) for row in found]
