"""The schema: a type for each type of FHIR, made from the definitions when the first query comes."""

from functools import lru_cache
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDirective,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    specified_directives,
)

from fhir_server.search.params import Param, params
from fhir_server.search.types import TYPES
from profiles.definitions.model import Element
from profiles.definitions.registry import Definitions

ANY = "Resource"
"""Any resource: the interface of all of them."""
REFERENCE = "Reference"
REVERSE = "_reference"
LIST, CONNECTION = "List", "Connection"

Fields = dict[str, GraphQLField]
Arguments = dict[str, GraphQLArgument]


def type_name(fhir: str) -> str:
    """Return what a type of FHIR is called here: `Observation.component` is `ObservationComponent`."""
    return "".join(part[:1].upper() + part[1:] if index else part for index, part in enumerate(fhir.split(".")))


def argument_name(code: str) -> str:
    """Return what a search parameter is called here."""
    return code.replace("-", "_")


def referring(resource_type: str, target: str, definitions: Definitions) -> dict[str, Param]:
    """Return the parameters of a type, by argument name, whose references may lead to another type."""
    return {
        argument_name(code): param
        for code, param in params(resource_type, definitions).items()
        if param.type == "reference" and (not param.targets or not {"Resource", target}.isdisjoint(param.targets))
    }


@lru_cache(maxsize=2)
def schema(definitions: Definitions) -> GraphQLSchema:
    """Return the schema for these definitions; it takes some tenths of a second to make."""
    return _Maker(definitions).made()


class _Maker:
    """Makes one schema."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._resources = sorted(definitions.resource_types)
        self._scalars: dict[str, GraphQLScalarType] = {}
        self._objects: dict[str, GraphQLObjectType] = {}
        self._value = _scalar(
            "SearchValue", "A value of a search parameter, as in the URL of a search; several must all hold."
        )
        self._any = GraphQLInterfaceType(
            ANY,
            lambda: {
                "resourceType": GraphQLField(self._scalar("code")),
                "id": GraphQLField(self._scalar("id")),
                "meta": GraphQLField(self._object("Meta")),
                "implicitRules": GraphQLField(self._scalar("uri")),
                "language": GraphQLField(self._scalar("code")),
            },
            resolve_type=lambda value, *_: str(value.get("resourceType")),
        )
        self._items = {
            "fhirpath": GraphQLArgument(GraphQLString),
            "_offset": GraphQLArgument(GraphQLInt),
            "_count": GraphQLArgument(GraphQLInt),
        }
        self._searches: dict[str, tuple[GraphQLField, GraphQLField]] = {}
        self._reverse: dict[str, tuple[GraphQLField, GraphQLField]] = {}
        self._referring = {
            target: [name for name in self._resources if referring(name, target, definitions)]
            for target in self._resources
        }

    def made(self) -> GraphQLSchema:
        """Return the schema."""
        fields: Fields = {}
        for name in self._resources:
            fields[name] = GraphQLField(self._object(name), {"id": GraphQLArgument(GraphQLNonNull(self._scalar("id")))})
            fields[f"{name}{LIST}"], fields[f"{name}{CONNECTION}"] = self._search(name)
        return GraphQLSchema(
            GraphQLObjectType("Query", fields),
            types=[self._object(name) for name in self._resources],
            directives=[*specified_directives, *DIRECTIVES],
            assume_valid=True,
        )

    def _scalar(self, name: str) -> GraphQLScalarType:
        if name not in self._scalars:
            self._scalars[name] = _scalar(name, f"The primitive type {name} of FHIR, as JSON has it.")
        return self._scalars[name]

    def _object(self, fhir: str) -> GraphQLObjectType:
        if fhir not in self._objects:
            is_resource = fhir in self._definitions.resource_types
            self._objects[fhir] = GraphQLObjectType(
                type_name(fhir),
                lambda: self._fields(fhir),
                interfaces=[self._any] if is_resource else [],
                extensions={"fhir": fhir},
            )
        return self._objects[fhir]

    def _fields(self, fhir: str) -> Fields:
        definition = self._definitions.types[fhir]
        found: Fields = {}
        for element in definition.elements.values():
            kind = self._type(element)
            found[element.name] = _field(kind, element, self._arguments(element))
            if isinstance(kind, GraphQLScalarType):
                more = self._object("Element")
                found[f"_{element.name}"] = GraphQLField(GraphQLList(more) if element.array else more)
        if fhir == REFERENCE:
            arguments = {"optional": GraphQLArgument(GraphQLBoolean), "type": GraphQLArgument(self._scalar("code"))}
            found["resource"] = GraphQLField(self._any, arguments)
        if fhir in self._definitions.resource_types:
            found["resourceType"] = GraphQLField(self._scalar("code"))
            for name in self._referring[fhir]:
                found[f"{name}{LIST}"], found[f"{name}{CONNECTION}"] = self._search(name, reverse=True)
        return found

    def _type(self, element: Element) -> GraphQLScalarType | GraphQLObjectType | GraphQLInterfaceType:
        if element.type == ANY:
            return self._any
        known = self._definitions.types.get(element.type)
        return self._scalar(element.type) if known is None or known.kind == "primitive" else self._object(element.type)

    def _arguments(self, element: Element) -> Arguments:
        """Return the arguments of an element: of a list, what selects from it."""
        if not element.array:
            return {}
        definition = self._definitions.types.get(element.type)
        if definition is None or definition.kind in {"primitive", "resource"} or element.type == ANY:
            return self._items
        own: Arguments = {}
        for part in definition.elements.values():
            kind = self._type(part)
            if isinstance(kind, GraphQLScalarType) and not part.array:
                own[part.name] = GraphQLArgument(kind)
        return {**self._items, **own}

    def _search(self, name: str, *, reverse: bool = False) -> tuple[GraphQLField, GraphQLField]:
        """Return the fields that search a type: as a list, and as a connection. Those of all types that it refers to are the same.

        Of those only the arguments are declared that all have: declared with each of the 146 types, the parameters of all types
        would be most of the schema. `graphql.rules` takes them all the same.
        """
        known = self._reverse if reverse else self._searches
        if name not in known:
            codes = {
                argument_name(code) for code, param in params(name, self._definitions).items() if param.type in TYPES
            }
            several = GraphQLList(GraphQLNonNull(self._value))
            arguments: Arguments = {} if reverse else {code: GraphQLArgument(several) for code in sorted(codes)}
            arguments["_filter"] = GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLString)))
            arguments |= {one: GraphQLArgument(GraphQLInt) for one in ("_count", "_offset")}
            arguments |= {one: GraphQLArgument(GraphQLString) for one in ("_cursor", "_sort")}
            if reverse:
                arguments[REVERSE] = GraphQLArgument(GraphQLNonNull(self._value))
            connection = self._connection(name)
            more = {"searched": frozenset(codes)} if reverse else {}
            known[name] = (
                GraphQLField(GraphQLList(self._object(name)), arguments, extensions=more),
                GraphQLField(connection, arguments, extensions=more),
            )
        return known[name]

    def _connection(self, name: str) -> GraphQLObjectType:
        key = f"{name}{CONNECTION}"
        if key not in self._objects:
            edge = GraphQLObjectType(
                f"{name}Edge",
                {
                    "mode": GraphQLField(self._scalar("code")),
                    "score": GraphQLField(self._scalar("decimal")),
                    "resource": GraphQLField(self._object(name)),
                },
                extensions={"fhir": f"{name}Edge"},
            )
            links = {one: GraphQLField(GraphQLString) for one in ("first", "previous", "next", "last")}
            numbers = {one: GraphQLField(GraphQLInt) for one in ("count", "offset", "pagesize")}
            fields = {**numbers, "edges": GraphQLField(GraphQLList(edge)), **links}
            self._objects[key] = GraphQLObjectType(key, fields, extensions={"fhir": key})
        return self._objects[key]


def _field(kind: Any, element: Element, arguments: Arguments) -> GraphQLField:
    return GraphQLField(GraphQLList(kind) if element.array else kind, arguments)


def _scalar(name: str, description: str) -> GraphQLScalarType:
    return GraphQLScalarType(name, description=description, coerce_input_value=_given, coerce_input_literal=_written)


def _given(value: Any) -> str:
    """Return a value of a variable as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise GraphQLError("A value of FHIR is given as a text, a number or a truth value.")


def _written(node: Any, *_: Any) -> str:
    """Return a value in the query as text; a code may stand without quotes."""
    value = getattr(node, "value", None)
    if not isinstance(value, bool | str):
        raise GraphQLError("A value of FHIR is given as a text, a code, a number or a truth value.", node)
    return str(value).lower() if isinstance(value, bool) else value


def _directive(name: str, description: str, **arguments: GraphQLArgument) -> GraphQLDirective:
    return GraphQLDirective(name, [DirectiveLocation.FIELD], arguments, description=description)


DIRECTIVES = (
    _directive("flatten", "The fields of this element become fields of what it is in."),
    _directive("first", "Only the first of the list."),
    _directive("singleton", "Not a list, whatever the element is."),
    _directive(
        "slice",
        "The field has the value of an expression behind its name: `name.official`.",
        path=GraphQLArgument(GraphQLString),
        fhirpath=GraphQLArgument(GraphQLString),
    ),
)
"""The directives of FHIR."""
