"""Concepts that users add to a code system, or change in it, as a release of its own that is applied to a version that is here."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_server.model import json
from fhir_server.model.errors import Unprocessable
from terminology.codesystem import statements
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept, Head, PropertyDefinition
from terminology.load.release import Release, Row

Json = dict[str, Any]

MOST_BASE = 200_000
"""Concepts of a version that a request may change; every one of them is stored again."""
AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a code system.

    Attributes:
        url: Its system URI.
        version: That comes of it, empty where it has none.
        concepts: Elements of CodeSystem.concept, without concepts in them: what is said of each is added to what is known.
        removed: Codes that go.
        head: CodeSystem without concepts, for a code system that is not here yet.
    """

    url: str
    version: str
    concepts: Sequence[Json]
    removed: frozenset[str]
    head: Json


def flattened(resource: Json) -> list[Json]:
    """Return the concepts of a CodeSystem resource, each with what it stands under as a property `parent`."""
    hierarchy = statements.hierarchy(resource)
    up = statements.standard_codes(statements.definitions(resource), "parent")
    found = []
    for row, parents in zip(hierarchy.rows, hierarchy.parents, strict=True):
        stated = [one for one in statements.objects(row.get("property")) if one.get("code") not in up]
        above = [{"code": "parent", "valueCode": hierarchy.rows[one]["code"]} for one in parents]
        bare = {key: value for key, value in row.items() if key not in {"concept", "property"}}
        found.append({**bare, "property": [*stated, *above]} if stated or above else bare)
    return found


def gathered(
    codings: Iterable[Json],
    properties: Iterable[Mapping[str, str]],
    designations: Iterable[Mapping[str, str]],
    known: Json,
) -> list[Json]:
    """Return elements of CodeSystem.concept of what stands beside each other in a request.

    Args:
        codings: Code and display.
        properties: `code`, `property` and `value`.
        designations: `code`, `value` and maybe `language`.
        known: CodeSystem whose `property` says of what type each is.

    Raises:
        Unprocessable: A value is not of the type of its property.
    """
    declared = statements.definitions(known)
    found: dict[str, Json] = {}
    for coding in codings:
        code = coding.get("code")
        if not isinstance(code, str) or not code:
            raise Unprocessable(
                "A concept has no code. Give each a code, and best a display.", expression="http.concept"
            )
        said = {"display": coding["display"]} if isinstance(coding.get("display"), str) else {}
        found[code] = {**found.get(code, {}), "code": code, **said}
    for one in properties:
        row = found.setdefault(one["code"], {"code": one["code"]})
        row.setdefault("property", []).append(_property(one["property"], one["value"], declared))
    for one in designations:
        row = found.setdefault(one["code"], {"code": one["code"]})
        language = {"language": one["language"]} if one.get("language") else {}
        row.setdefault("designation", []).append({"value": one["value"], **language})
    return list(found.values())


async def release(change: Change, base: CodeSystemProvider | None) -> Release:
    """Return the release that a change is.

    Args:
        change: It.
        base: The version that it is applied to, `None` for a code system that begins.

    Raises:
        Unprocessable: It changes nothing, removes what is not there, or the base is too large for a request.
    """
    if not change.concepts and not change.removed:
        raise Unprocessable("There is nothing to add and nothing to remove. Send concepts.", expression="http.concept")
    if base is not None and base.head.count > MOST_BASE:
        raise Unprocessable(
            f"{base.head.canonical} has {base.head.count:,} concepts, and a request changes code systems of at most {MOST_BASE:,}. "
            "Load a release with `fhir-server terminology load`.",
            expression="http.system",
        )
    head = _head(change, base.head if base else None)
    meaning = statements.Meaning(head.properties)
    up = statements.standard_codes(head.properties, "parent")
    rows = []
    for one in change.concepts:
        said = meaning.concept(one, 0, ())
        above = tuple(_code(value) for code, _, value in statements.stated(one) if code in up)
        known = await base.find(said.code) if base else None
        rows.append(await _merged(base, known, said, above) if base and known else _row(said, above))
    for code in change.removed:
        if base is None or await base.find(code) is None:
            raise Unprocessable(
                f"The code '{code[:100]}' cannot be removed, as it is not there.", expression="http.remove"
            )
    if not head.hierarchy and any(row.parents for row in rows):
        head = replace(head, hierarchy="is-a")
    digest = hashlib.sha256(json.encode([change.url, change.version, list(change.concepts), sorted(change.removed)]))
    if base is None:
        return Release(head, digest.hexdigest(), lambda: iter(rows))
    if not base.head.version:
        # A base is named by its version; where it has none, the release says all.
        rows = await _whole(base, {row.code: row for row in rows}, change.removed)
        return Release(head, digest.hexdigest(), lambda: iter(rows))
    return Release(head, digest.hexdigest(), lambda: iter(rows), base=base.head.version, removed=change.removed)


async def _whole(base: CodeSystemProvider, changed: dict[str, Row], removed: frozenset[str]) -> list[Row]:
    """Return all concepts of a version as they are to become."""
    ordinals = list(await base.everything())
    known = [
        one
        for start in range(0, len(ordinals), AT_ONCE)
        for one in await base.concepts(ordinals[start : start + AT_ONCE])
    ]
    codes = {one.ordinal: one.code for one in known}
    rows = []
    for one in known:
        row = changed.pop(one.code) if one.code in changed else _row(one, tuple(codes[above] for above in one.parents))
        if one.code not in removed:
            rows.append(row)
    return [*rows, *changed.values()]


def _head(change: Change, base: Head | None) -> Head:
    stated = statements.head({"status": "active", **change.head, "content": "complete"}, statements.hierarchy({}))
    known = base or stated
    properties = {**known.properties, **stated.properties}
    for row in change.concepts:
        for code, kind, _ in statements.stated(row):
            if code not in {"parent", "child"}:
                properties.setdefault(code, PropertyDefinition(code, kind))
    return replace(known, url=change.url, version=change.version, properties=properties, count=0)


def _property(code: str, text: str, declared: Mapping[str, PropertyDefinition]) -> Json:
    kind = declared[code].kind if code in declared else "code" if code in {"parent", "child"} else "string"
    if code == "inactive" and code not in declared:
        kind = "boolean"
    try:
        value: Any = text
        if kind == "boolean":
            value = {"true": True, "false": False}[text]
        elif kind == "integer":
            value = int(text)
        elif kind == "decimal":
            value = Decimal(text)
        elif kind == "Coding":
            system, _, bare = text.rpartition("|")
            value = {**({"system": system} if system else {}), "code": bare}
    except (KeyError, ValueError, InvalidOperation):
        raise Unprocessable(
            f"'{text[:60]}' is no {kind}, as the property '{code[:60]}' is.", expression="http.property"
        ) from None
    return {"code": code, f"value{kind[0].upper()}{kind[1:]}": value}


def _code(value: Any) -> str:
    return str(value.get("code", "")) if isinstance(value, dict) else str(value)


def _row(said: Concept, above: tuple[str, ...]) -> Row:
    return Row(
        said.code, said.display, said.definition, said.designations, said.properties, above,
        said.inactive, said.abstract, said.status,
    )  # fmt: skip


async def _merged(base: CodeSystemProvider, known: Concept, said: Concept, above: tuple[str, ...]) -> Row:
    """Return a concept as it is known, with what is said of it added."""
    parents = tuple([one.code for one in await base.concepts(known.parents)])
    names = {one.code for one in said.properties}
    changes_state = bool(names & {"inactive", "status"})
    return Row(
        known.code,
        said.display or known.display,
        said.definition or known.definition,
        (*known.designations, *(one for one in said.designations if one not in known.designations)),
        (*known.properties, *(one for one in said.properties if one not in known.properties)),
        tuple(dict.fromkeys((*parents, *above))),
        said.inactive if changes_state else known.inactive,
        said.abstract or known.abstract,
        said.status or known.status,
    )
