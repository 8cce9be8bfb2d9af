"""Which of very many like events are written down, so that nobody can fill the audit trail by being refused.

A refusal costs whoever asks for it nothing, and a row of the trail stays for years. So of what anybody can cause, the first
events of a minute from one network are written one by one; after that the 32nd, 64th, 128th and so on, each with its number.
The same holds for all networks together. Nothing is waited for and nothing kept back: what was written is true by itself.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

from smart_auth.throttle import network

ANYBODY = frozenset(
    {
        "token-refused",
        "client-refused",
        "introspection-refused",
        "sign-in-failed",
        "code-replayed",
        "refresh-reused",
        "reset-asked",
    }
)
"""Kinds of events that take no proof to cause, or can be caused again and again with the same one."""

WINDOW = timedelta(minutes=1)
FROM_ONE = 20
FROM_ALL = 600
MOST_NETWORKS = 10_000


class Flood:
    """Counts events of one process. Belongs to one `Realm`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str], tuple[datetime, int]] = OrderedDict()

    def number(self, kind: str, address: str, now: datetime) -> int:
        """Return which event of its kind this is within the minute; 0 where it is not written down."""
        if kind not in ANYBODY:
            return 1
        number, altogether = self._count((kind, network(address)), now), self._count((kind, ""), now)
        if not (_written(number, FROM_ONE) and _written(altogether, FROM_ALL)):
            return 0
        return number if altogether <= FROM_ALL else altogether

    def _count(self, key: tuple[str, str], now: datetime) -> int:
        begun, number = self._counts.pop(key, (now, 0))
        if begun + WINDOW <= now:
            begun, number = now, 0
        self._counts[key] = begun, number + 1
        if len(self._counts) > MOST_NETWORKS:
            self._counts.popitem(last=False)
        return number + 1


def _written(number: int, free: int) -> bool:
    return number <= free or number & (number - 1) == 0
