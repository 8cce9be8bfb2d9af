"""Resources that come with a request (`tx-resource`, `valueSet` and the like): nobody has validated them before they are used."""

import asyncio
from collections.abc import Iterable
from typing import Any

from fhir_server.model.errors import BadRequest
from terminology.collection import CODE_SYSTEM, CONCEPT_MAP, VALUE_SET

Json = dict[str, Any]
Place = tuple[Any, str] | None
"""Where something stands: the place of what it is in, and its name or number there."""

TEXTS = frozenset(
    [
        "code",
        "content",
        "definition",
        "display",
        "equivalence",
        "hierarchyMeaning",
        "id",
        "language",
        "mode",
        "op",
        "resourceType",
        "source",
        "sourceVersion",
        "status",
        "supplements",
        "system",
        "targetVersion",
        "uri",
        "url",
        "value",
        "version",
        "versionAlgorithmString",
    ]
)
"""Elements of code systems, value sets and concept maps that are texts wherever they stand."""
ASIDE = frozenset({"contact", "identifier", "jurisdiction", "meta", "relatedArtifact", "text", "useContext"})
"""Elements that no terminology operation looks into."""
DEEPEST = 500
"""Concepts below each other."""
TURN = 5_000
"""Elements after which other requests have their turn."""


async def readable(given: Iterable[object]) -> tuple[Json, ...]:
    """Return resources that came with a request, as they are.

    Raises:
        BadRequest: One has something else where a text belongs, or is nested without end; the answer says where.
    """
    found = []
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("resourceType"), str):
            raise BadRequest(
                "A resource that comes with the request has no 'resourceType'. Say what it is, such as CodeSystem or ValueSet.",
                expression="Parameters.parameter.resource",
            )
        if one["resourceType"] in {CODE_SYSTEM, VALUE_SET, CONCEPT_MAP}:
            await _read(one)
        found.append(one)
    return tuple(found)


async def _read(resource: Json) -> None:
    waiting: list[tuple[Any, Place, int]] = [(resource, None, 0)]
    seen = 0
    while waiting:
        node, place, depth = waiting.pop()
        seen += 1
        if seen % TURN == 0:
            await asyncio.sleep(0)
        if depth > 2 * DEEPEST:
            raise BadRequest(
                f"The {resource['resourceType']} that comes with the request is nested more than {DEEPEST} levels deep. "
                "State parents by properties instead.",
                expression=resource["resourceType"],
            )
        rows = enumerate(node) if isinstance(node, list) else node.items()
        for name, value in rows:
            if name in TEXTS and not isinstance(value, str):
                raise BadRequest(
                    f"'{_path(place, name)}' of the {resource['resourceType']} that comes with the request is {_kind(value)}. "
                    "It has to be a text.",
                    expression=f"{resource['resourceType']}.{_path(place, name)}",
                )
            if isinstance(value, dict | list) and name not in ASIDE:
                waiting.append((value, (place, str(name)), depth + 1))


def _path(place: Place, name: str) -> str:
    names = [name]
    while place is not None:
        place, outer = place
        names.append(outer)
    return "".join(f"[{one}]" if one.isdecimal() else f".{one}" for one in reversed(names)).lstrip(".")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    return "a number"
