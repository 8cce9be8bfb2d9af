"""StructureDefinitions that users stored, as far as the caller may see them: what a profile is based on and refers to."""

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_server.checks import claimed
from fhir_server.context import Context
from fhir_server.model import json
from profiles.packages import versions

Json = dict[str, Any]

TYPE = "StructureDefinition"
MOST = 50
"""StructureDefinitions that are looked up in the record for one request."""
_SEVERAL = 20


async def stored(ctx: Context, canonical: str) -> Json | None:
    """Return the stored StructureDefinition of a canonical, the newest of several, or `None` where the caller sees none."""
    url, _, version = canonical.partition("#")[0].partition("|")
    if not url or not ctx.repository.rights.has(TYPE, "s"):
        return None
    pairs = (("url", _literal(url)), *((("version", _literal(version)),) if version else ()))
    found = [json.decode(one.body) for one in await ctx.repository.matches(TYPE, pairs, _SEVERAL)]
    return max(found, key=lambda one: versions.order(str(one.get("version", ""))), default=None)


async def gathered(ctx: Context, canonicals: Iterable[str]) -> list[Json]:
    """Return the stored StructureDefinitions of canonicals, with those that they build on, in the order they are met.

    Those that come with FHIR or are installed with a package are at hand already and not looked up.
    """
    found: list[Json] = []
    waiting = list(dict.fromkeys(canonicals))
    for count, canonical in enumerate(waiting):  # grows while it is walked
        if count >= MOST:
            break
        if ctx.checks.knows(canonical):
            continue
        structure = await stored(ctx, canonical)
        if structure is not None:
            found.append(structure)
            waiting.extend(one for one in dict.fromkeys(needed(structure)) if one not in waiting)
    return found


def claims(resource: Json) -> Iterator[str]:
    """Yield the profiles that a resource claims, and those within it: contained, and of entries and parameters."""
    waiting = [resource]
    for one in waiting:  # grows while it is walked
        yield from claimed(one)
        for name, member in (("contained", ""), ("entry", "resource"), ("parameter", "resource")):
            rows = one.get(name)
            for row in rows if isinstance(rows, list) else ():
                inner = row.get(member) if member and isinstance(row, dict) else row
                if isinstance(inner, dict):
                    waiting.append(inner)


def needed(structure: Json) -> Iterator[str]:
    """Yield the canonicals of what a StructureDefinition is based on and of the type profiles in it."""
    yield from _texts([structure.get("baseDefinition")])
    differential = structure.get("differential")
    rows = differential.get("element") if isinstance(differential, dict) else None
    for row in rows if isinstance(rows, list) else ():
        options = row.get("type") if isinstance(row, dict) else None
        for option in options if isinstance(options, list) else ():
            if isinstance(option, dict):
                for name in ("profile", "targetProfile"):
                    given = option.get(name)
                    yield from _texts(given if isinstance(given, list) else ())


def _texts(values: Iterable[object]) -> Iterator[str]:
    yield from (value for value in values if isinstance(value, str))


def _literal(value: str) -> str:
    """Return a value as a search parameter has it, in which `,`, `|` and `$` mean something."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in value)
