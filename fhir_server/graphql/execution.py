"""Carrying a valid query out: fields of resources, references, searches, and what the directives of FHIR make of the answer."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    SelectionSetNode,
    get_directive_values,
    get_named_type,
    is_leaf_type,
    value_from_ast_untyped,
)
from graphql.execution.values import get_argument_values

from fhir_server.graphql.schema import ANY, CONNECTION, LIST, REFERENCE, REVERSE, referring
from fhir_server.graphql.sources import Resource, Sources
from fhir_server.model import json
from fhir_server.model.background import ended
from fhir_server.model.errors import BadRequest, FhirError, TooCostly
from fhir_server.model.outcome import outcome
from fhir_server.repository.pages import SearchPage
from fhir_server.search.escapes import nearest
from fhir_server.search.params import params
from fhir_server.search.parse import CURSOR
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError

Path = tuple[str | int, ...]
Row = tuple[str, Any, bool]
"""A name, one value, and whether the values of that name are a list. `None` says that there is none."""

NUMBERS = ("_count", "_offset")
PLAIN = {"_count": "_count", "_sort": "_sort", "_cursor": CURSOR, "_filter": "_filter"}


class Query:
    """One query that is carried out.

    Args:
        schema: The schema.
        document: The query; it is valid.
        variables: Their values, as graphql-core coerced them.
        sources: Reads and searches.
        definitions: FHIR definitions.
        engine: Compiles FHIRPath.
    """

    def __init__(  # noqa: PLR0917 - what it stands on
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        variables: Any,
        sources: Sources,
        definitions: Definitions,
        engine: Engine,
    ) -> None:
        self.errors: list[Resource] = []
        self._schema = schema
        self._variables = variables
        self._sources = sources
        self._definitions = definitions
        self._engine = engine
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }

    async def answer(self, selections: SelectionSetNode) -> Resource:
        """Return the data of the fields of the whole record.

        Raises:
            TooCostly: It costs too much.
        """
        query = self._schema.query_type
        return _assembled(await self._object(query, {}, {}, [selections], ()))

    async def instance(self, resource: Resource, selections: SelectionSetNode) -> Resource:
        """Return the data of the fields of one resource; raises like `answer`."""
        kind = self._schema.type_map[resource["resourceType"]]
        return _assembled(await self._object(kind, resource, resource, [selections], ()))

    async def _object(
        self, kind: Any, value: Resource, root: Resource, sets: Sequence[SelectionSetNode], path: Path
    ) -> list[Row]:
        """Return the fields that are selected of an object.

        Args:
            kind: Its type; of an interface, the value says which.
            value: The object.
            root: The resource that it is in.
            sets: What is selected of it.
            path: Where it stands in the answer.
        """
        if isinstance(kind, GraphQLInterfaceType):
            kind = self._schema.type_map.get(str(value.get("resourceType")))
            if not isinstance(kind, GraphQLObjectType):
                return []
        root = value if "resourceType" in value else root
        fields: dict[str, list[FieldNode]] = {}
        for selections in sets:
            self._collect(kind, selections, fields)
        self._sources.budget.spend("values", len(fields))
        if kind is self._schema.query_type or any(self._is_asked(kind, nodes[0]) for nodes in fields.values()):
            rows = [self._field(kind, value, root, nodes, (*path, name)) for name, nodes in fields.items()]
            return [row for part in await _together(rows) for row in part]
        found: list[Row] = []
        for name, nodes in fields.items():
            found += await self._field(kind, value, root, nodes, (*path, name))
        return found

    def _is_asked(self, kind: GraphQLObjectType, node: FieldNode) -> bool:
        """Return whether a field leads to the database, so that others need not wait for it."""
        return node.name.value not in self._elements(kind)

    def _elements(self, kind: GraphQLObjectType) -> Mapping[str, Any]:
        known = self._definitions.types.get(kind.extensions.get("fhir", ""))
        return known.elements if known else {}

    def _collect(
        self, kind: GraphQLObjectType, selections: SelectionSetNode, fields: dict[str, list[FieldNode]]
    ) -> None:
        """Gather the fields of selections by the names that they have in the answer."""
        for one in selections.selections:
            if not self._is_included(one):
                continue
            if isinstance(one, FieldNode):
                fields.setdefault((one.alias or one.name).value, []).append(one)
                continue
            inner: Any = self._fragments[one.name.value] if isinstance(one, FragmentSpreadNode) else one
            condition = inner.type_condition.name.value if inner.type_condition else kind.name
            if condition == kind.name or (condition == ANY and any(each.name == ANY for each in kind.interfaces)):
                self._collect(kind, inner.selection_set, fields)

    def _is_included(self, node: Any) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and not (include and not include["if"])

    async def _field(
        self, kind: GraphQLObjectType, value: Resource, root: Resource, nodes: list[FieldNode], path: Path
    ) -> list[Row]:
        """Return a field; where it fails, nothing of it, and what was wrong among the errors."""
        node, name = nodes[0], str(path[-1])
        if node.name.value == "__typename":
            return [(name, kind.name, False)]
        if node.name.value.startswith("__"):  # told by `graphql.introspection`
            return []
        field = kind.fields[node.name.value]
        try:
            found, is_list = await self._values(kind, field, node, value, root)
            return await self._completed(field, found, root, nodes, path, is_list=is_list)
        except TooCostly:
            raise
        except FhirError as error:
            self._note(str(error), node, path, outcome(error.issues))
        except (GraphQLError, FhirPathError) as error:
            text = error.message if isinstance(error, GraphQLError) else str(error)
            self._note(text, node, path, outcome(BadRequest(text).issues))
        return [(name, None, False)]

    def _note(self, text: str, node: FieldNode, path: Path, told: Resource) -> None:
        error = GraphQLError(text, node, path=list(path), extensions={"resource": told})
        self.errors.append(dict(error.formatted))

    async def _values(
        self, kind: GraphQLObjectType, field: GraphQLField, node: FieldNode, value: Resource, root: Resource
    ) -> tuple[list[Any], bool]:
        """Return the values of a field, and whether they are a list."""
        name = node.name.value
        if name in self._elements(kind) or name.startswith("_"):
            element = self._elements(kind).get(name)
            found = value.get(name)
            if not isinstance(field.type, GraphQLList):
                return ([] if found is None else [found]), False
            rows = found if isinstance(found, list) else []
            return self._selected(rows, element.type if element else "Element", self._arguments(field, node)), True
        if kind.name == REFERENCE and name == "resource":
            return await self._led(value, root, self._arguments(field, node)), False
        if kind.name.endswith(("Edge", CONNECTION)) or name == "resourceType":
            found = value.get(name)
            return (found, True) if isinstance(found, list) else ([] if found is None else [found], False)
        if kind is self._schema.query_type and "id" in field.args:
            return [await self._sources.read(name, str(self._arguments(field, node)["id"]))], False
        return await self._searched(field, node, kind, value)

    def _arguments(self, field: GraphQLField, node: FieldNode) -> dict[str, Any]:
        known = get_argument_values(field, node, self._variables)
        searched = field.extensions.get("searched", ())
        for argument in node.arguments or ():
            if argument.name.value not in field.args and argument.name.value in searched:
                known[argument.name.value] = self._untyped(argument.value)
        return known

    def _untyped(self, node: Any) -> list[str]:
        """Return the values of an argument that is not declared."""
        found = value_from_ast_untyped(node, getattr(self._variables, "coerced", self._variables))
        rows = found if isinstance(found, list) else [] if found is None else [found]
        return [str(one).lower() if isinstance(one, bool) else str(one) for one in rows]

    def _selected(self, rows: list[Any], kind: str, arguments: dict[str, Any]) -> list[Any]:
        """Return what the arguments of a list leave of it."""
        if not arguments:
            return rows
        found = rows
        for name, wanted in arguments.items():
            if name == "fhirpath" and wanted is not None:
                expression = self._engine.compile(wanted, kind)
                self._sources.budget.spend("elements with fhirpath", len(found))
                found = [one for one in found if expression.boolean(one)]
            elif name not in NUMBERS and wanted is not None:
                found = [one for one in found if isinstance(one, dict) and _text(one.get(name)) == wanted]
        start, count = arguments.get("_offset") or 0, arguments.get("_count")
        if start < 0 or (count is not None and count < 0):
            raise BadRequest("_offset and _count of a list are 0 or more.", expression="http.query")
        return found[start:] if count is None else found[start : start + count]

    async def _led(self, value: Resource, root: Resource, arguments: dict[str, Any]) -> list[Any]:
        """Return what a reference leads to."""
        text, wanted = str(value.get("reference", "")), arguments.get("type")
        if not text:
            return []
        if text.startswith("#"):
            inside = root.get("contained", [])
            found = next((one for one in inside if one.get("id") == text[1:]), root if text == "#" else None)
        elif wanted and f"{wanted}/" not in text:
            return []
        else:
            found = await self._sources.led(text)
        if found is None and not arguments.get("optional"):
            raise self._sources.absence(text)
        return [found] if found and wanted in {None, found["resourceType"]} else []

    async def _searched(
        self, field: GraphQLField, node: FieldNode, kind: GraphQLObjectType, value: Resource
    ) -> tuple[list[Any], bool]:
        """Return what a search finds, as a list or as a connection."""
        name = node.name.value
        is_connection = name.endswith(CONNECTION)
        resource_type = name.removesuffix(CONNECTION if is_connection else LIST)
        arguments = self._arguments(field, node)
        pairs = self._pairs(resource_type, arguments)
        if kind is not self._schema.query_type:
            pairs.append(self._reverse(resource_type, kind.name, str(arguments[REVERSE]), value))
        counted = is_connection and any(
            isinstance(one, FieldNode) and one.name.value == "count"
            for one in node.selection_set.selections  # type: ignore[union-attr]
        )
        offset = arguments.get("_offset") or 0
        page = await self._sources.search(
            resource_type, [*pairs, *([("_total", "accurate")] if counted else [])], offset
        )
        resources = [json.decode(hit.body) for hit in page.matches]
        return ([_connection(page, resources, offset, arguments)], False) if is_connection else (resources, True)

    def _pairs(self, resource_type: str, arguments: dict[str, Any]) -> list[tuple[str, str]]:
        """Return the arguments of a search as its parameters."""
        codes = {code.replace("-", "_"): code for code in params(resource_type, self._definitions)}
        found: list[tuple[str, str]] = []
        for name, given in arguments.items():
            if given is None or name in {REVERSE, "_offset"}:
                continue
            code = PLAIN.get(name) or codes[name]
            found += [(code, str(one)) for one in (given if isinstance(given, list) else [given])]
        return found

    def _reverse(self, resource_type: str, target: str, name: str, value: Resource) -> tuple[str, str]:
        """Return the criterion that it refers to the resource."""
        known = referring(resource_type, target, self._definitions)
        param = known.get(name.replace("-", "_"))
        if param is None:
            raise BadRequest(
                f"'{name[:60]}' is no parameter of {resource_type} whose references lead to a {target}."
                f"{nearest(name, known)} There are {', '.join(known)}.",
                expression="http.query",
            )
        return param.code, f"{target}/{value['id']}"

    async def _completed(
        self,
        field: GraphQLField,
        found: list[Any],
        root: Resource,
        nodes: list[FieldNode],
        path: Path,
        *,
        is_list: bool,
    ) -> list[Row]:
        """Return the rows that the values of a field become, as its directives say."""
        directives = {one.name.value: one for one in nodes[0].directives or ()}
        name = str(path[-1])
        found = [one for one in found if one is not None] if is_list else found
        if "first" in directives:
            found = found[:1]
        self._sources.budget.spend("values", len(found))
        kind = get_named_type(field.type)
        suffixes = [self._suffix(directives.get("slice"), index, one, kind) for index, one in enumerate(found)]
        listing = is_list and "singleton" not in directives and "slice" not in directives
        if is_leaf_type(kind):
            leaves = [(f"{name}{suffix}", one, listing) for suffix, one in zip(suffixes, found, strict=True)]
            return leaves or [(name, None, False)]
        sets = [node.selection_set for node in nodes if node.selection_set]
        numbered = [(*path, index) if is_list else path for index in range(len(found))]
        parts = await self._objects(kind, found, root, sets, numbered)
        if "flatten" in directives:
            return [
                (f"{inner}{suffix}", one, (as_list or listing) and one is not None)
                for suffix, part in zip(suffixes, parts, strict=True)
                for inner, one, as_list in part
            ]
        rows = [(f"{name}{suffix}", _assembled(part), listing) for suffix, part in zip(suffixes, parts, strict=True)]
        return rows or [(name, None, False)]

    async def _objects(
        self, kind: GraphQLNamedType, values: list[Any], root: Resource, sets: list[SelectionSetNode], paths: list[Path]
    ) -> list[list[Row]]:
        asked = [
            self._object(kind, one if isinstance(one, dict) else {}, root, sets, path)
            for one, path in zip(values, paths, strict=True)
        ]
        return await _together(asked)

    def _suffix(self, directive: DirectiveNode | None, index: int, value: Any, kind: GraphQLNamedType) -> str:
        """Return what stands behind the name of a sliced value."""
        if directive is None:
            return ""
        given = {one.name.value: value_from_ast_untyped(one.value) for one in directive.arguments or ()}
        text = given.get("fhirpath") or given.get("path")
        if not isinstance(text, str):
            raise BadRequest('@slice has an expression: @slice(fhirpath: "use"), or "$index".', expression="http.query")
        if text == "$index":
            return f".{index}"
        self._sources.budget.spend("elements with fhirpath")
        found = self._engine.compile(text, kind.extensions.get("fhir")).evaluate(value)
        return f".{_text(found[0])}" if found and not isinstance(found[0], dict | list) else ""


async def _together(asked: Sequence[Coroutine[Any, Any, list[Row]]]) -> list[list[Row]]:
    """Return the results of all; where one fails, the others are stopped."""
    if len(asked) == 1:
        return [await asked[0]]
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        await ended(*tasks)
        raise


def _connection(page: SearchPage, resources: list[Resource], offset: int, arguments: dict[str, Any]) -> Resource:
    """Return a connection."""
    return {
        "count": page.total,
        "offset": offset,
        "pagesize": arguments.get("_count") or len(resources),
        "edges": [{"mode": "match", "score": 1, "resource": one} for one in resources],
        "next": page.next or None,
    }


def _assembled(rows: Sequence[Row]) -> Resource:
    """Return the object of rows; a name that has several values though it is no list becomes one."""
    found: Resource = {}
    made: set[str] = set()
    for name, value, is_list in rows:
        if value is None:
            found.setdefault(name, None)
        elif name in made:
            found[name].append(value)
        elif is_list:
            found[name] = [value]
            made.add(name)
        elif found.get(name) is None:
            found[name] = value
        else:
            found[name] = [found[name], value]
            made.add(name)
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
