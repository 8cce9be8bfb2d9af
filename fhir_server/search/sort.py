"""`_sort`: total orders, and where in them a page starts (R4 3.1.1.5.1).

Every order ends with a field that no two resources share, and missing values come last in either direction. One index
serves an order where there is one for it (the primary date, `_lastUpdated`, `_id`, the sort keys of `params.SORT_KEYS`);
any other parameter is sorted by a key that the query computes: of several values the one that comes first in the order
asked for (R4), of a range its beginning, of a quantity that of its canonical value, of a token its code, of a text its folded form.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fhir_server.search.params import Param
from fhir_server.search.types.date import EFFECTIVE, MOMENTS
from fhir_server.search.types.reference import LOGICAL

TIE = "o"
# Stand for escaped characters while a token is taken apart; no FHIR text holds them.
_BACKSLASH, _BAR = "\x01", "\x02"

RANGES = frozenset({"date", "number", "quantity"})

Clause = Mapping[str, Any]


class SortKey(msgspec.Struct, frozen=True):
    """One key of `_sort`."""

    param: Param
    descending: bool = False


class Step(msgspec.Struct, frozen=True):
    """One query of a page: the clause that says where it starts, empty for the very beginning."""

    start: Clause


class _Key(msgspec.Struct, frozen=True):
    """A field to sort by; `nullable` where it may be absent, `flag` where another field says so ahead of it."""

    name: str
    direction: int
    nullable: bool = False


class Order(msgspec.Struct, frozen=True):
    """A total order.

    Attributes:
        keys: The fields, the last of which is unique.
        computed: Expressions of the fields that are not stored.
        index: Name of the index that yields it, empty where none does.
    """

    keys: tuple[_Key, ...]
    computed: Clause = msgspec.field(default_factory=dict)
    index: str = ""

    @property
    def sort(self) -> tuple[tuple[str, int], ...]:
        """(field, direction) pairs."""
        return tuple((key.name, key.direction) for key in self.keys)

    @property
    def fields(self) -> tuple[str, ...]:
        """Envelope fields that `values` needs."""
        return tuple(dict.fromkeys(key.name.partition(".")[0] for key in self.keys if key.name != "_id"))

    def values(self, document: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of the keys in a document: where the page after it starts.

        Args:
            document: The fields of `fields`, and `_id`.
        """
        return values(self.sort, document)

    def is_beyond(self, values: tuple[Any, ...], end: tuple[Any, ...]) -> bool:
        """Return whether the values of one document come later in the order than those of another."""
        for key, one, other in zip(self.keys, values, end, strict=True):
            if one == other:
                continue
            if one is None or other is None:
                return one is None
            return bool(one > other) == (key.direction == 1)
        return False

    def steps(self, after: tuple[Any, ...] | None, *, inclusive: bool = False) -> tuple[Step, ...]:
        """Return the queries that make up the page after these values, or from them on, in their order.

        MongoDB puts missing values first when it sorts upwards; there the resources without the value are a second step.
        """
        first = self.keys[0]
        upwards = first.nullable and first.direction == 1
        if after is None:
            return (Step({first.name: {"$ne": None}}), Step({first.name: None})) if upwards else (Step({}),)
        rest = Step({first.name: None})
        start = Step(_after(self.keys, after, inclusive=inclusive))
        return (start, rest) if upwards and after[0] is not None else (start,)


def values(sort: Iterable[tuple[str, int]], document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a document has in the fields of an order, the (field, direction) pairs of `Order.sort`."""
    return tuple([_at(document, name) for name, _ in sort])


def order(keys: tuple[SortKey, ...], known: Mapping[str, Param]) -> Order:
    """Return the order for the keys of `_sort`; without any, the newest by the primary date, else by `_lastUpdated`.

    Args:
        keys: The keys, the most important first.
        known: All parameters of the type.
    """
    if not keys:
        primary = next((param for param in known.values() if param.primary_date), known["_lastUpdated"])
        keys = (SortKey(primary, descending=True),)
    direction = -1 if keys[0].descending else 1
    stored = [_stored(key) for key in keys]
    if len(keys) == 1 and stored[0]:
        return Order((stored[0], *_tie(stored[0], direction)), index=_index(keys[0]))
    plain = [found for found in stored if found and not found.nullable]
    if len(plain) == len(keys):
        return Order((*plain, _Key(TIE, direction)))
    return _computed(keys, known, direction)


def _tie(first: _Key, direction: int) -> tuple[_Key, ...]:
    return () if first.name == "_id" else (_Key(TIE, direction),)


def _stored(key: SortKey) -> _Key | None:
    """Return the stored field that holds exactly this key, if one does."""
    param, direction = key.param, -1 if key.descending else 1
    if param.primary_date:
        return _Key("d", direction, nullable=True)
    if param.sort_key:
        return _Key(f"k.{param.code}.{'z' if key.descending else 'a'}", direction)
    computed = param.field.startswith("s.") or param.parts or param.field == EFFECTIVE
    return None if computed else _Key(param.field, direction)


def _index(key: SortKey) -> str:
    param = key.param
    if param.primary_date:
        return "date"
    if param.sort_key:
        return f"sort_{param.code}_down" if key.descending else f"sort_{param.code}"
    return "_id_" if param.field == "_id" else "updated"


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _after(keys: tuple[_Key, ...], values: tuple[Any, ...], *, inclusive: bool) -> Clause:
    """Return "comes later in the order than these values", as one bound on the first key and the rest as a filter."""
    if len(keys) == 1:
        beyond, from_on = ("$gt", "$gte") if keys[0].direction == 1 else ("$lt", "$lte")
        return {keys[0].name: {from_on if inclusive else beyond: values[0]}}
    first, value, deeper = keys[0], values[0], _after(keys[1:], values[1:], inclusive=inclusive)
    if value is None:
        return {"$and": [{first.name: None}, deeper]}
    if first.nullable and first.direction == -1:
        # Not greater, which includes missing: one range of the index.
        return {"$and": [{first.name: {"$not": {"$gt": value}}}, {"$or": [{first.name: {"$ne": value}}, deeper]}]}
    beyond, bound = ("$gt", "$gte") if first.direction == 1 else ("$lt", "$lte")
    return {"$and": [{first.name: {bound: value}}, {"$or": [{first.name: {beyond: value}}, deeper]}]}


def _computed(keys: tuple[SortKey, ...], known: Mapping[str, Param], direction: int) -> Order:
    """Return an order by computed fields: of each key whether it is missing, and its value."""
    fields: list[_Key] = []
    expressions: dict[str, Any] = {}
    for number, key in enumerate(keys):
        missing, value = f"m{number}", f"c{number}"
        expression = _expression(key, known)
        expressions |= {missing: {"$cond": [{"$lte": [expression, None]}, 1, 0]}, value: expression}
        fields += [_Key(missing, 1), _Key(value, -1 if key.descending else 1)]
    return Order((*fields, _Key(TIE, direction)), expressions)


def _expression(key: SortKey, known: Mapping[str, Param]) -> Any:
    stored = _stored(key)
    if stored:
        return f"${stored.name}"
    if key.param.field == EFFECTIVE:
        return {"$max": [f"${name}" for name in MOMENTS]}
    parts = [known[code] for code in key.param.parts] or [key.param]
    values = [_values(part) for part in parts]
    several = values[0] if len(values) == 1 else {"$concatArrays": values}
    return {"$max" if key.descending else "$min": several}


def _values(param: Param) -> Any:
    """Return the expression for the array of a parameter's values; entries that hold nothing searchable are left out."""
    if param.type == "quantity":
        # In the canonical unit, so that 900 mg comes before 1 g; in its own where it does not convert.
        lows = {"$ifNull": ["$$this.clo", "$$this.lo"]}
        return {"$map": {"input": {"$ifNull": [f"${param.field}", []]}, "in": lows}}
    if param.type in RANGES:
        return {"$ifNull": [f"${param.field}.lo", []]}
    path = f"${param.field}"
    if param.patient:
        only = {"$cond": [{"$lte": ["$p", None]}, [], [{"$concat": ["Patient/", "$p"]}]]}
        path_or_none = {"$cond": [{"$eq": [path, False]}, [], [path]]}
        entries: Any = {"$cond": [{"$isArray": path}, path, {"$cond": [{"$lte": [path, None]}, only, path_or_none]}]}
    else:
        entries = {"$cond": [{"$isArray": path}, path, {"$cond": [{"$lte": [path, None]}, [], [path]]}]}
    # Neither the empty entry nor a logical reference (`#…`).
    searchable = {"$not": [{"$in": [{"$substrCP": ["$$this", 0, 1]}, ["", LOGICAL]]}]}
    held = {"$filter": {"input": entries, "cond": searchable if param.type == "reference" else {"$ne": ["$$this", ""]}}}
    keys = {"string": _before("$$this", "\n"), "token": _code("$$this")}
    return {"$map": {"input": held, "in": keys[param.type]}} if param.type in keys else held


def _before(text: Any, separator: str) -> Any:
    return {"$arrayElemAt": [{"$split": [text, separator]}, 0]}


def _code(entry: str) -> Any:
    """Return the expression for the code of a token entry, without the escapes that keep its bars from its system's."""
    held = _replaced(_replaced(entry, "\\\\", _BACKSLASH), "\\|", _BAR)
    return _replaced(_replaced(_before(held, "|"), _BAR, "|"), _BACKSLASH, "\\")


def _replaced(text: Any, find: str, replacement: str) -> Any:
    return {"$replaceAll": {"input": text, "find": find, "replacement": replacement}}
