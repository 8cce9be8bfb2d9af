"""Compiled queries as plain data: what search makes and store runs. Neither knows the other."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class Where(msgspec.Struct, frozen=True):
    """A compiled filter. `ANYTHING` and `NOTHING` are values of their own, never `None` or an empty dict.

    Attributes:
        kind: Which of the three.
        clause: A MongoDB filter over the stored document, for kind `clause` only.
    """

    kind: Literal["anything", "nothing", "clause"]
    clause: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def __and__(self, other: "Where") -> "Where":
        """Both must hold."""
        if self.kind == "nothing" or other.kind == "nothing":
            return NOTHING
        if self.kind == "anything":
            return other
        if other.kind == "anything":
            return self
        return Where("clause", {"$and": [self.clause, other.clause]})


ANYTHING = Where("anything")
NOTHING = Where("nothing")


class Query(msgspec.Struct, frozen=True):
    """One page of one collection of live resources.

    Attributes:
        resource_type: Collection.
        where: Search and access filter, already joined.
        sort: (field, 1 or -1) pairs; always total, the last one being `o` or `_id`; empty where the order does not matter.
        limit: Most documents to return.
        hint: Name of the index to use, or `None` to let the planner choose.
        fields: Envelope fields that the caller needs in `Hit.envelope`; computed ones among them.
        computed: Where not empty, this is an aggregation: match `where`, set these fields to these expressions, match
            `after`, then sort (by computed fields, too) and limit.
        after: Filter over computed fields: where the page starts. Only with `computed`.
        then: What sorts after everything that this query matches. To run with the rest of the limit where this query
            finds fewer than its limit.
    """

    resource_type: str
    where: Where
    sort: tuple[tuple[str, int], ...]
    limit: int
    hint: str | None = None
    fields: tuple[str, ...] = ()
    computed: Mapping[str, Any] = msgspec.field(default_factory=dict)
    after: Mapping[str, Any] = msgspec.field(default_factory=dict)
    then: "Query | None" = None


class Distinct(msgspec.Struct, frozen=True):
    """The different texts that the documents of a filter have in one field.

    Attributes:
        resource_type: Collection.
        where: Search and access filter, already joined.
        field: The field; it may hold arrays.
        prefix: Only texts that start so.
        limit: Most texts to return.
        hint: Name of the index to use, or `None` to let the planner choose.
    """

    resource_type: str
    where: Where
    field: str
    prefix: str
    limit: int
    hint: str | None = None


class Examined(msgspec.Struct, frozen=True):
    """What the database did for a query.

    Attributes:
        resource_type: The type that was searched.
        index: The indexes that were read.
        keys: Keys of them that were examined.
        documents: Documents that were examined.
        returned: Documents that were found, up to the limit.
        milliseconds: Time that it took, as the database measured it.
    """

    resource_type: str
    index: str
    keys: int
    documents: int
    returned: int
    milliseconds: int


class IndexSpec(msgspec.Struct, frozen=True):
    """An index to create: name, (field, direction) pairs where direction is 1, -1, '2dsphere' or wildcard 1, options.

    `options` are those of MongoDB's createIndexes (partialFilterExpression, wildcardProjection, …).
    """

    name: str
    keys: tuple[tuple[str, int | str], ...]
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)
