"""What the schema says of itself. What is asked of one thing in one place is answered once, however often it is met.

All of it is some 20 MB, and takes a processor for seconds. Tools ask for it in the same words each time they begin, so
answers are kept, compressed to a thirtieth, and made one at a time.
"""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    is_leaf_type,
)
from graphql.execution.values import get_argument_values

from fhir_server.graphql.sources import Budget
from fhir_server.model import json
from profiles.definitions.registry import Definitions

MOST, SECONDS = 500_000, 60.0
"""The whole schema has some 150,000 different things."""

ROOT = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}

MOST_KEPT = 8


class Kept:
    """Answers of one schema that were given lately."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._turn = asyncio.Lock()

    async def encoded(self, asked: bytes, answer: Callable[[], dict[str, Any]]) -> bytes:
        """Return an answer as JSON.

        Args:
            asked: What it depends on.
            answer: Makes it; runs in a thread.

        Raises:
            TooCostly: It takes too long.
        """
        async with self._turn:
            if asked not in self._answers:
                self._answers[asked] = await asyncio.to_thread(lambda: zlib.compress(json.encode(answer()), 1))
                if len(self._answers) > MOST_KEPT:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(asked)
            packed = self._answers[asked]
        return await asyncio.to_thread(zlib.decompress, packed)


@lru_cache(maxsize=2)
def kept(definitions: Definitions) -> Kept:
    """Return what is kept of the schema for these definitions."""
    return Kept()


class Introspection:
    """Answers what is asked of the schema.

    Args:
        schema: The schema.
        document: The query; it is valid.
        variables: Their values, as graphql-core coerced them.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Any) -> None:
        self._info: Any = SimpleNamespace(schema=schema)
        self._variables = variables
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._known: dict[tuple[int, tuple[int, ...]], tuple[dict[str, Any], Any]] = {}
        self._budget = Budget(MOST, SECONDS)

    def concerns(self, selections: SelectionSetNode) -> bool:
        """Return whether anything is asked of the schema."""
        return any(nodes[0].name.value in ROOT for nodes in self._collected([selections]).values())

    def answer(self, selections: SelectionSetNode) -> dict[str, Any]:
        """Return the data of those fields that ask of the schema; the others are passed over.

        Raises:
            TooCostly: It takes too long.
        """
        found: dict[str, Any] = {}
        for name, nodes in self._collected([selections]).items():
            definition = ROOT.get(nodes[0].name.value)
            if definition is not None:
                found[name] = self._field(definition, nodes, None)
        return found

    def _field(self, field: Any, nodes: Sequence[FieldNode], source: Any) -> Any:
        arguments = get_argument_values(field, nodes[0], self._variables)
        value = field.resolve(source, self._info, **arguments)
        return self._completed(field.type, value, [node.selection_set for node in nodes if node.selection_set])

    def _completed(self, kind: Any, value: Any, sets: list[SelectionSetNode]) -> Any:
        if isinstance(kind, GraphQLNonNull):
            return self._completed(kind.of_type, value, sets)
        if value is None:
            return None
        if isinstance(kind, GraphQLList):
            return [self._completed(kind.of_type, one, sets) for one in value]
        if isinstance(kind, GraphQLEnumType):
            return getattr(value, "name", value)
        return value if is_leaf_type(kind) else self._object(kind, value, sets)

    def _object(self, kind: GraphQLObjectType, value: Any, sets: list[SelectionSetNode]) -> dict[str, Any]:
        key = (id(value), tuple(map(id, sets)))
        if key not in self._known:
            self._budget.spend("values")
            rows = self._collected(sets).items()
            found = {
                name: kind.name
                if nodes[0].name.value == "__typename"
                else self._field(kind.fields[nodes[0].name.value], nodes, value)
                for name, nodes in rows
            }
            self._known[key] = (found, value)  # with the value, or another might get its id
        return self._known[key][0]

    def _collected(self, sets: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        found: dict[str, list[FieldNode]] = {}
        for selections in sets:
            for one in selections.selections:
                if isinstance(one, FieldNode):
                    found.setdefault((one.alias or one.name).value, []).append(one)
                    continue
                inner: Any = self._fragments[one.name.value] if isinstance(one, FragmentSpreadNode) else one
                for name, nodes in self._collected([inner.selection_set]).items():
                    found.setdefault(name, []).extend(nodes)
        return found
