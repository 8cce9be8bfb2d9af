"""Parameters of operations: from URL and body to values by name, checked against the OperationDefinition, and back (R4 3.2.0.1)."""

import contextlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import PRESENTATION
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.primitives import SHAPES

BARE = frozenset({"boolean", "integer", "positiveInt", "unsignedInt", "decimal"})
"""Types that are no strings in JSON; in a URL they are the same text without quotes."""

RESOURCES = frozenset(
    {"Resource", "Patient", "StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap", "Observation"}
)
"""Types of parameters that are resources."""

COMPLEX = RESOURCES | {"Reference", "Identifier", "Coding", "CodeableConcept", "Period", "Meta"}
"""Types whose values are objects."""

INNER = frozenset({"resource", "part"})
"""Members of a parameter that hold its value, besides `value[x]`."""

Values = Mapping[str, tuple[Any, ...]]


def read(ctx: Context, definition: OperationDefinition) -> Values:
    """Return the values of the parameters that were sent, by name; of those not sent, an empty tuple.

    Values of primitive types may stand in the URL; all may be in a Parameters resource in the body. Where only one is a
    resource, that may be the body itself. A parameter of parts is the mapping of their values by name.

    Raises:
        BadRequest: A parameter that the operation does not take, one too many or too few, or a value of the wrong type.
    """
    known = {row.name: row for row in definition.parameters if row.use == "in"}
    found: dict[str, list[Any]] = {name: [] for name in known}
    for name, value in (*_of_url(ctx), *_of_body(ctx, definition)):
        row = known.get(name)
        if row is None:
            takes = ", ".join(known) or "no parameters"
            raise BadRequest(
                f"The operation ${definition.code} has no parameter '{name[:60]}'. It takes {takes}.",
                expression=f"http.{name[:60]}",
            )
        found[name].append(_value(definition, row, value))
    for name, row in known.items():
        count = len(found[name])
        if count < row.min or (row.max is not None and count > row.max):
            most = "" if row.max is None else f" to {row.max}"
            raise BadRequest(
                f"The parameter '{name}' of ${definition.code} is given {count} times; it takes {row.min}{most} values.",
                expression=f"http.{name}",
            )
    return {name: tuple(values) for name, values in found.items()}


def pairs(ctx: Context, definition: OperationDefinition) -> list[tuple[str, str]]:
    """Return names and values as those of a search, for an operation that also takes what can be searched by.

    Raises:
        BadRequest: The value of one is an object, and none of a reference.
    """
    found: list[tuple[str, str]] = []
    for name, value in (*_of_url(ctx), *_of_body(ctx, definition)):
        plain = value.get("reference") if isinstance(value, dict) else value
        if not isinstance(plain, str | int | float | Decimal):
            raise BadRequest(
                f"The parameter '{name[:60]}' of ${definition.code} is one of a search: give it as a string.",
                expression=f"http.{name[:60]}",
            )
        found.append((name, str(plain).lower() if isinstance(plain, bool) else str(plain)))
    return found


def resource(rows: Iterable[tuple[str, str, Any]]) -> dict[str, Any]:
    """Return a Parameters resource of (name, FHIR type, value); the value of type `part` is rows of its own."""
    found = [_row(*row) for row in rows]
    return {"resourceType": "Parameters", "parameter": found} if found else {"resourceType": "Parameters"}


def _row(name: str, kind: str, value: Any) -> dict[str, Any]:
    if kind == "part":
        return {"name": name, "part": [_row(*part) for part in value]}
    if kind in RESOURCES:
        return {"name": name, "resource": value}
    return {"name": name, f"value{kind[0].upper()}{kind[1:]}": value}


def _of_url(ctx: Context) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in ctx.request.query if name not in PRESENTATION)


def _of_body(ctx: Context, definition: OperationDefinition) -> Iterable[tuple[str, Any]]:
    if not ctx.request.body and ctx.request.resource is None:
        return
    body = ctx.resource()
    if body.get("resourceType") != "Parameters":
        bare = [row.name for row in definition.parameters if row.use == "in" and row.type in RESOURCES]
        if len(bare) == 1:
            yield bare[0], body
            return
        raise BadRequest(
            f"The body of an operation is a Parameters resource, not '{str(body.get('resourceType'))[:60]}'.",
            expression="resourceType",
        )
    rows = body.get("parameter", [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows
    ):
        raise BadRequest("Parameters.parameter is an array of objects with a name.", expression="Parameters.parameter")
    for row in rows:
        values = [value for key, value in row.items() if key.startswith("value") or key in INNER]
        if len(values) != 1:
            raise BadRequest(
                f"The parameter '{row['name'][:60]}' has {len(values)} values. Give it one value[x], resource or part, or repeat "
                "it.",
                expression="Parameters.parameter",
            )
        yield row["name"], values[0]


def _value(definition: OperationDefinition, row: OperationParameter, value: Any) -> Any:
    if not row.type:
        return _parts(definition, row, value)
    if row.type in BARE and isinstance(value, str):
        with contextlib.suppress(msgspec.DecodeError, ValueError):
            value = json.decode(value.encode())
    if row.type in COMPLEX and not isinstance(value, dict):
        raise BadRequest(
            f"The parameter '{row.name}' of ${definition.code} is a {row.type}, not a plain value. Give it as one in a "
            "Parameters resource in the body.",
            expression=f"http.{row.name}",
        )
    shape = SHAPES.get(row.type)
    if shape is not None and not shape(value):
        raise BadRequest(
            f"'{str(value)[:60]}' is not a valid {row.type} for the parameter '{row.name}' of ${definition.code}.",
            expression=f"http.{row.name}",
        )
    return value


def _parts(definition: OperationDefinition, row: OperationParameter, value: Any) -> Values:
    """Return the values of the parts of a parameter, by name; of those not sent, an empty tuple."""
    known = {part.name: part for part in row.parts}
    found: dict[str, list[Any]] = {name: [] for name in known}
    for part in value if isinstance(value, list) else (None,):
        name, given = _part(part)
        if name not in known or len(given) != 1:
            raise BadRequest(
                f"The parameter '{row.name}' of ${definition.code} is made of parts, each with one of the names "
                f"{', '.join(known)} and one value. Give them in a Parameters resource in the body.",
                expression=f"http.{row.name}",
            )
        found[name].append(_value(definition, known[name], given[0]))
    return {name: tuple(values) for name, values in found.items()}


def _part(part: object) -> tuple[str, list[Any]]:
    if not isinstance(part, dict):
        return "", []
    return str(part.get("name")), [value for key, value in part.items() if key.startswith("value") or key in INNER]
