"""A code system with supplements: designations, properties and extensions that others add to its concepts (R4 CodeSystem.supplements)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyroaring import BitMap

from terminology.codesystem import statements
from terminology.codesystem.particular import Particular
from terminology.codesystem.provider import CodeSystemProvider, Filter, InvalidFilter
from terminology.concept import Concept, Property
from terminology.words import split

Json = dict[str, Any]


class Supplemented(Particular):
    """A version of a code system, with what supplements add to it.

    Args:
        system: The code system itself.
        supplements: CodeSystem resources whose content is `supplement`.
    """

    def __init__(self, system: CodeSystemProvider, supplements: Sequence[Json]) -> None:
        properties = dict(system.head.properties)
        for one in supplements:
            for code, definition in statements.definitions(one).items():
                properties.setdefault(code, definition)
        super().__init__(system)
        self.head = replace(system.head, properties=properties)
        self._added: dict[str, list[tuple[str, Json]]] = {}
        for one in supplements:
            source = _canonical(one)
            for row in statements.hierarchy(one).rows:
                self._added.setdefault(self._key(row["code"]), []).append((source, row))

    async def find(self, code: str) -> Concept | None:
        """Return the concept of a code."""
        found = await self.base.find(code)
        return None if found is None else self._with(found)

    async def concepts(self, ordinals: Sequence[int]) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order."""
        return [self._with(one) for one in await self.base.concepts(ordinals)]

    async def select(self, rule: Filter) -> BitMap:
        """Return the concepts that a filter selects; on properties of supplements, those that have a value and are equal."""
        try:
            return await self.base.select(rule)
        except InvalidFilter:
            if rule.property not in self.head.properties or rule.property in self.base.head.properties:
                raise
        codes = [row["code"] for rows in self._added.values() for _, row in rows if _states(row, rule)]
        found = [await self.base.find(code) for code in codes]
        return BitMap(one.ordinal for one in found if one is not None and one.ordinal >= 0)

    async def holds(self, rule: Filter, concept: Concept) -> bool:
        """Return whether a filter selects a concept."""
        try:
            return await self.base.holds(rule, concept)
        except InvalidFilter:
            return concept.ordinal in await self.select(rule)

    async def matching(self, text: str, within: BitMap) -> Sequence[int]:
        """Return the concepts whose words, those of supplements too, begin with each word of a text."""
        found = list(await self.base.matching(text, within))
        known = BitMap(found)
        sought = split(text)
        for rows in self._added.values():
            added = split(" ".join(one.value for _, row in rows for one in statements.designations(row)))
            if all(any(word.startswith(part) for word in added) for part in sought):
                concept = await self.base.find(rows[0][1]["code"])
                if concept is not None and concept.ordinal in within and concept.ordinal not in known:
                    found.append(concept.ordinal)
        return found

    def _key(self, code: str) -> str:
        return code if self.head.case_sensitive else code.casefold()

    def _with(self, concept: Concept) -> Concept:
        """Return a concept with all that supplements say of it; what they say of the same extension goes before."""
        rows = self._added.get(self._key(concept.code))
        if not rows:
            return concept
        added = [extension for _, row in rows for extension in statements.objects(row.get("extension"))]
        urls = {statements.text(one.get("url")) for one in added}
        return replace(
            concept,
            designations=(
                *concept.designations,
                *(one for source, row in rows for one in statements.designations(row, source)),
            ),
            properties=(
                *concept.properties,
                *(
                    Property(code, value, kind, source)
                    for source, row in rows
                    for code, kind, value in statements.stated(row)
                ),
            ),
            extensions=(*(one for one in concept.extensions if statements.text(one.get("url")) not in urls), *added),
        )


def _states(row: Json, rule: Filter) -> bool:
    values = {
        str(value.get("code") if isinstance(value, dict) else value).lower()
        for code, _, value in statements.stated(row)
        if code == rule.property
    }
    match rule.op:
        case "=":
            return rule.value.lower() in values
        case "in":
            return any(one.strip().lower() in values for one in rule.value.split(","))
        case "exists":
            return bool(values) and rule.value.lower() == "true"
    raise InvalidFilter(
        f"'{rule.property[:80]}' is a property of a supplement, of which '{rule.op[:40]}' cannot be told. Use =, in or exists."
    )


def _canonical(resource: Json) -> str:
    url, version = statements.text(resource.get("url")), statements.text(resource.get("version"))
    return f"{url}|{version}" if version else url
