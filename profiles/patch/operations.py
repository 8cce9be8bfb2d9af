"""The operations of a FHIRPath Patch, read from its Parameters resource (R4 fhirpatch.html)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from profiles.fhirpath.engine import Compiled, Engine
from profiles.fhirpath.errors import FhirPathError, shown
from profiles.fhirpath.scope import Limits
from profiles.patch.errors import PatchError

Kind = Literal["add", "insert", "delete", "replace", "move"]
Json = Mapping[str, Any]

MOST_OPERATIONS = 1_000

MOST_STEPS = 200_000
"""Steps of all paths of a patch together; of each at least `LEAST_STEPS`. Paths that only select take some ten."""

LEAST_STEPS = 2_000
MOST_SECONDS = 1.0

PARTS: Mapping[str, frozenset[str]] = {
    "add": frozenset({"path", "name", "value"}),
    "insert": frozenset({"path", "index", "value"}),
    "delete": frozenset({"path"}),
    "replace": frozenset({"path", "value"}),
    "move": frozenset({"path", "source", "destination"}),
}
"""Parts that each type of operation needs beside `type`, and takes no other."""

_KEYS: Mapping[str, tuple[str, ...]] = {
    "type": ("valueCode", "valueString"),
    "path": ("valueString",),
    "name": ("valueString", "valueCode"),
    "index": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "source": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
    "destination": ("valueInteger", "valueUnsignedInt", "valuePositiveInt"),
}
"""JSON keys under which plain parts stand; the specification's own examples are not of one mind about types."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is put into the resource.

    Attributes:
        type: Its type with a small or capital letter as in `value[x]`: `Date`, `HumanName`; `Resource` for a resource, empty
            for an anonymous type (a backbone element), which is spelled out in parts.
        json: The JSON value; of an anonymous type the parts as `(name, Value)`. `None` for a primitive without a value.
        sibling: What stands under `_value[x]` beside a primitive.
    """

    type: str
    json: Any
    sibling: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        kind: What it does.
        path: Where.
        place: FHIRPath of it in the Parameters resource.
        limits: What finding it may take.
        name: Element that `add` adds.
        value: What `add`, `insert` and `replace` put there.
        index: Where `insert` inserts, counted from 0.
        source: Which item `move` moves.
        destination: Where it stands then.
    """

    kind: Kind
    path: Compiled
    place: str
    limits: Limits
    name: str = ""
    value: Value | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def read(parameters: Json, engine: Engine, resource_type: str) -> tuple[Operation, ...]:
    """Return the operations of a patch in their order.

    Args:
        parameters: The Parameters resource.
        engine: What compiles the paths.
        resource_type: Type of the resources that it is for; paths are checked against it.

    Raises:
        PatchError: It is no FHIRPath Patch: an operation that there is not, a part too many or too few, a path that cannot
            be read.
    """
    rows = parameters.get("parameter", [])
    if not isinstance(rows, list):
        raise PatchError("patch", "Parameters.parameter is an array.", "Parameters.parameter")
    if len(rows) > MOST_OPERATIONS:
        text = f"The patch has {len(rows)} operations; {MOST_OPERATIONS} are taken at once. Send the resource with an update."
        raise PatchError("patch", text, "Parameters.parameter")
    limits = Limits(steps=max(LEAST_STEPS, MOST_STEPS // (len(rows) or 1)), seconds=MOST_SECONDS)
    return tuple(
        _operation(row, f"Parameters.parameter[{n}]", engine, resource_type, limits) for n, row in enumerate(rows)
    )


def _operation(row: Any, place: str, engine: Engine, resource_type: str, limits: Limits) -> Operation:
    if not isinstance(row, dict) or row.get("name") != "operation" or not isinstance(row.get("part"), list):
        text = "A FHIRPath Patch consists of parameters of the name 'operation', each with parts."
        raise PatchError("patch", text, place)
    parts: dict[str, Json] = {}
    for part in row["part"]:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or name in parts:
            text = f"The part '{shown(name)}' is there twice." if isinstance(name, str) else "A part has no name."
            raise PatchError("patch", text, place)
        parts[name] = part
    kind = _plain(parts.pop("type", None), "type", place)
    needed = PARTS.get(str(kind))
    if needed is None:
        text = f"'{shown(kind)}' is no type of operation. There are {', '.join(PARTS)}."
        raise PatchError("patch", text, place)
    for name in sorted(needed ^ parts.keys()):
        said = "needs the part" if name in needed else "takes no part"
        text = f"The operation '{kind}' {said} '{shown(name)}'. Its parts are type, {', '.join(sorted(needed))}."
        raise PatchError("patch", text, place)
    read_parts: dict[str, Any] = {name: _plain(parts[name], name, place) for name in needed - {"value"}}
    if "value" in needed:
        read_parts["value"] = value(parts["value"], place)
    path = _path(read_parts["path"], place, engine, resource_type)
    return Operation(kind, **(read_parts | {"path": path}), place=place, limits=limits)


def _plain(part: Json | None, name: str, place: str) -> Any:
    """Return the value of a part that is a text or a number from 0."""
    found = next((part[key] for key in _KEYS[name] if key in part), None) if part else None
    if _KEYS[name][0] != "valueInteger":
        if isinstance(found, str) and found:
            return found
    elif type(found) is int and found >= 0:
        return found
    raise PatchError("patch", f"An operation has a part '{name}' with {_KEYS[name][0]}.", place)


def _path(text: str, place: str, engine: Engine, resource_type: str) -> Compiled:
    try:
        return engine.compile(text, resource_type)
    except FhirPathError as error:
        raise PatchError("patch", f"The path '{shown(text, 60)}' cannot be used: {error}", place) from None


def value(part: Json, place: str) -> Value:
    """Return the value of a part: `value[x]`, a resource, or parts that spell out an anonymous type.

    Raises:
        PatchError: It has none, or several.
    """
    found = list(_values(part, place))
    if len(found) != 1:
        text = (
            f"The part '{shown(part.get('name'))}' has {len(found)} values. Give it one value[x], a resource, or parts."
        )
        raise PatchError("patch", text, place)
    return found[0]


def _values(part: Json, place: str) -> Iterator[Value]:
    keys = dict.fromkeys(key.removeprefix("_") for key in part if key.removeprefix("_").startswith("value"))
    for key in keys:
        if len(key) > len("value"):
            yield Value(key.removeprefix("value"), part.get(key), part.get(f"_{key}"))
    if "resource" in part:
        yield Value("Resource", part["resource"])
    if "part" in part:
        rows = part["part"]
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and isinstance(row.get("name"), str) for row in rows
        ):
            raise PatchError("patch", "Parts are objects with a name.", place)
        yield Value("", tuple((row["name"], value(row, place)) for row in rows))
