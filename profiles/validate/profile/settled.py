"""What was found of small values that were met before: races, birth sexes, categories are the same in all records.

What profiles say about a value of a data type nearly always follows from the value alone. Then it is kept by the JSON of the
value, and told again of an equal one at another place. What looked beyond the value (`Shared.outside`) is never told again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from profiles.issue import Issue
from profiles.validate.profile.visit import Found, Shared, Told
from profiles.validate.walk import Place, render

Json = dict[str, Any]
Key = tuple[str, tuple[bool, str], bytes | None]

MOST_KEPT = 2000
"""Values of one generation; there are two, and what is not asked for in the time of one is forgotten."""

MOST_BYTES = 1000
MOST_FINDINGS = 20

_wire = msgspec.json.Encoder(decimal_format="number").encode


class Row(NamedTuple):
    """What was found of one value.

    Attributes:
        fixed: Whether it follows from the value alone; else there is nothing more here.
        where: Where it was found last.
        found: The findings there.
        bound: Value sets that elements within the value are bound to.
    """

    fixed: bool
    where: str = ""
    found: tuple[Issue, ...] = ()
    bound: frozenset[str] = frozenset()


_OPEN, _CLEAN = Row(fixed=False), Row(fixed=True)


class Settled:
    """Findings by value, for one process."""

    def __init__(self) -> None:
        self._young: dict[Key, Row] = {}
        self._old: dict[Key, Row] = {}

    @property
    def kept(self) -> int:
        """How many values something is known of."""
        return len(self._young) + len(self._old)

    def find(self, what: str, value: Json, where: Place, shared: Shared) -> list[Found] | None:
        """Return what was found of an equal value, moved to this place; `None` where that is not known.

        Args:
            what: What is asked, such as the key of a profile.
            value: A value of a data type.
            where: Its place.
            shared: What the visits of the validation share.
        """
        wires = shared.wires
        wire = wires[id(value)] if id(value) in wires else wires.setdefault(id(value), _encoded(value))
        key = (what, shared.manner, wire)
        row = self._young.get(key)
        if row is None:
            row = self._old.get(key)
            if row is None:
                return None
            self._keep(key, row)
        if not row.fixed:
            return None
        if row.bound:
            shared.bound |= row.bound
        if not row.found:
            return []
        place = render(where)
        if place != row.where:
            row = _moved(row, place)
            self._keep(key, row)
        return list(row.found)

    def learn(
        self, what: str, value: Json, where: Place, shared: Shared, work: Callable[[], list[Found]]
    ) -> list[Found]:
        """Return what the work finds of a value, and keep it if it follows from the value alone.

        Args:
            what: As of `find`, which knew nothing of the value.
            value: As there.
            where: As there.
            shared: As there.
            work: Finds it.
        """
        key = (what, shared.manner, shared.wires.get(id(value)))
        if key[2] is None or key in self._young or key in self._old:
            return work()
        bound, before, outside = shared.bound, shared.before, shared.outside
        shared.bound, shared.before = set(), before | bound if bound else before
        try:
            found = work()
        finally:
            within = shared.bound
            bound |= within
            shared.bound, shared.before = bound, before
        row = _OPEN
        if shared.outside == outside and len(found) <= MOST_FINDINGS:
            place = render(where) if found else ""
            issues = tuple(one.issue if isinstance(one, Told) else one for one in found)
            if all(one.expression.startswith(place) for one in issues):
                row = Row(True, place, issues, frozenset(within)) if found or within else _CLEAN
        self._keep(key, row)
        return found

    def _keep(self, key: Key, row: Row) -> None:
        if len(self._young) >= MOST_KEPT:
            self._old, self._young = self._young, {}
        self._young[key] = row


def _encoded(value: Json) -> bytes | None:
    """Return what tells a value from every other, `None` for one that is too long to be met again."""
    try:
        wire = _wire(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return wire if len(wire) <= MOST_BYTES else None


def _moved(row: Row, place: str) -> Row:
    """Return the same findings at another place."""
    start = len(row.where)
    found = tuple(
        Issue(
            one.severity,
            one.code,
            one.text,
            place + one.expression[start:],
            one.message_id,
            one.diagnostics,
            one.profile,
        )
        for one in row.found
    )
    return row._replace(where=place, found=found)
