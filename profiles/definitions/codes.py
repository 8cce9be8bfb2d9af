"""Which codes a value set holds, where its compose can be worked out from the code systems at hand (R4 ValueSet.compose).

A part that rests on a code system which the package only names (UCUM, MIME types, BCP 47), or on a filter that the
system's concepts cannot answer, makes the whole set not enumerable: half a list would refuse valid codes.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Pairs = frozenset[tuple[str, str]]

CHILD_PROPERTIES = frozenset({"child", "children"})
PARENT_PROPERTIES = frozenset({"parent", "subsumedBy"})


class NotEnumerable(Exception):
    """The members of a value set cannot be listed from the definitions at hand."""


class Enumerator:
    """Lists the members of value sets.

    Args:
        value_sets: ValueSets by canonical URL.
        code_systems: CodeSystems by canonical URL.
    """

    def __init__(self, value_sets: Mapping[str, Json], code_systems: Mapping[str, Json]) -> None:
        self._value_sets = value_sets
        self._systems = code_systems
        self._listed: dict[str, _Concepts] = {}

    def pairs(self, url: str) -> Pairs | None:
        """Return the (system, code) members of a value set, or `None` where they cannot be listed."""
        try:
            return self._members(url, ())
        except NotEnumerable:
            return None

    def subsumed(self, system: str, code: str) -> frozenset[str]:
        """Return a code and all that stand below it in its system's hierarchy; nothing where the system has no such code.

        Raises:
            NotEnumerable: The system's concepts are not all at hand.
        """
        concepts = self._concepts(system)
        return frozenset(concepts.matching("concept", "is-a", code) if code in concepts.rows else ())

    def subsuming(self, system: str, code: str) -> frozenset[str]:
        """Return a code and all that stand above it in its system's hierarchy; nothing where the system has no such code.

        Raises:
            NotEnumerable: The system's concepts are not all at hand.
        """
        concepts = self._concepts(system)
        return frozenset(concepts.matching("concept", "generalizes", code) if code in concepts.rows else ())

    def _members(self, canonical: str, within: tuple[str, ...]) -> Pairs:
        url = canonical.partition("|")[0]
        value_set = self._value_sets.get(url)
        if value_set is None or url in within or not value_set.get("compose", {}).get("include"):
            raise NotEnumerable(url)
        compose = value_set["compose"]
        included = frozenset().union(*(self._part(part, (*within, url)) for part in compose["include"]))
        excluded = frozenset().union(*(self._part(part, (*within, url)) for part in compose.get("exclude", ())))
        return included - excluded

    def _part(self, part: Json, within: tuple[str, ...]) -> Pairs:
        """One include or exclude: its system's codes that pass all filters and stand in all its imported value sets."""
        sets = [self._members(canonical, within) for canonical in part.get("valueSet", ())]
        if "system" in part:
            sets.append(frozenset((part["system"], code) for code in self._selected(part)))
        return frozenset.intersection(*sets)

    def _selected(self, part: Json) -> set[str]:
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        concepts = self._concepts(part["system"])
        codes = set(concepts.rows)
        for rule in part.get("filter", ()):
            codes &= concepts.matching(rule["property"], rule["op"], rule["value"])
        return codes

    def _concepts(self, canonical: str) -> "_Concepts":
        url = canonical.partition("|")[0]
        if url not in self._listed:
            system = self._systems.get(url, {})
            if system.get("content") != "complete":
                raise NotEnumerable(url)
            self._listed[url] = _Concepts(system)
        return self._listed[url]


class _Concepts:
    """The concepts of one complete code system with their hierarchy, nested or told by parent properties."""

    def __init__(self, system: Json) -> None:
        self.rows: dict[str, Json] = {}
        self.parents: dict[str, set[str]] = {}
        for concept, parent in _walk(system.get("concept", ()), ""):
            code = concept["code"]
            self.rows[code] = concept
            above = self.parents.setdefault(code, set())
            above |= {parent} if parent else set()
            above |= {value for name, value in _properties(concept) if name in PARENT_PROPERTIES}
            for child in (value for name, value in _properties(concept) if name in CHILD_PROPERTIES):
                self.parents.setdefault(child, set()).add(code)

    def matching(self, name: str, operator: str, value: str) -> set[str]:
        """Return the codes that pass one filter (R4 FilterOperator)."""
        below = {code for code in self.rows if value in self._ancestors(code)}
        match operator:
            case "is-a":
                return below | {value}
            case "descendent-of":
                return below
            case "is-not-a":
                return set(self.rows) - below - {value}
            case "generalizes":
                return self._ancestors(value) | {value}
            case "=":
                return {code for code in self.rows if value in self._values(code, name)}
            case "in":
                return {code for code in self.rows if self._values(code, name) & set(value.split(","))}
            case "not-in":
                return {code for code in self.rows if not self._values(code, name) & set(value.split(","))}
            case "exists":
                return {code for code in self.rows if bool(self._values(code, name)) == (value == "true")}
            case "regex":
                # A build-time input from a published package, never from a request.
                return {
                    code for code in self.rows if any(re.fullmatch(value, text) for text in self._values(code, name))
                }
        raise NotEnumerable(operator)

    def _ancestors(self, code: str) -> set[str]:
        found: set[str] = set()
        open_codes = [code]
        while open_codes:
            for parent in self.parents.get(open_codes.pop(), set()) - found:
                found.add(parent)
                open_codes.append(parent)
        return found

    def _values(self, code: str, name: str) -> set[str]:
        row = self.rows[code]
        if name in {"code", "concept"}:
            return {code}
        if name in PARENT_PROPERTIES:
            return self.parents[code]
        if name == "display":
            return {row.get("display", "")}
        return {value for property_, value in _properties(row) if property_ == name}


def _walk(concepts: list[Json], parent: str) -> Iterator[tuple[Json, str]]:
    for concept in concepts:
        yield concept, parent
        yield from _walk(concept.get("concept", []), concept["code"])


def _properties(concept: Json) -> Iterator[tuple[str, str]]:
    for row in concept.get("property", ()):
        for member, value in row.items():
            if member.startswith("value"):
                text = value["code"] if isinstance(value, dict) else value
                yield row["code"], str(text).lower() if isinstance(text, bool) else str(text)
