"""How much work one request may make: value sets that import each other can ask for more than any server can do."""

import asyncio
from time import monotonic

from terminology import issue
from terminology.issue import TxRefusal

DEEPEST = 50
"""Value sets that import each other in a row."""
MOST_PARTS = 20_000
"""Includes and excludes that are looked at, all value sets together."""
LONGEST = 10.0
"""Seconds in which the includes of one request have to be found; many code systems are as many questions to the database."""
TURN = 0.02
"""Seconds after which other requests have their turn."""


class Effort:
    """What has been done for one request."""

    __slots__ = ("_begun", "_since", "_spent")

    def __init__(self) -> None:
        self._spent = 0
        self._begun = self._since = monotonic()

    async def spend(self, value_set: str) -> None:
        """Look at one more include or exclude, and let others have their turn now and then.

        Args:
            value_set: Canonical of the value set whose it is.

        Raises:
            TxRefusal: There are too many, or it takes too long.
        """
        self._spent += 1
        if self._spent > MOST_PARTS:
            raise TxRefusal(issue.TOO_MANY_PARTS.issue(value_set=value_set, limit=MOST_PARTS))
        now = monotonic()
        if now - self._begun > LONGEST:
            raise TxRefusal(issue.TOO_LONG.issue(value_set=value_set, seconds=int(LONGEST)))
        if now - self._since > TURN:
            await asyncio.sleep(0)
            self._since = monotonic()


def not_too_deep(depth: int, value_set: str) -> None:
    """See to it that value sets do not import each other without end.

    Args:
        depth: Value sets in a row.
        value_set: Canonical of the last one.

    Raises:
        TxRefusal: There are too many.
    """
    if depth > DEEPEST:
        raise TxRefusal(issue.TOO_DEEP.issue(value_set=value_set, limit=DEEPEST))
