"""Is a code in a value set (R4 ValueSet.compose): as far as the definitions and the packages at hand can tell.

The answer has three values. A value set that takes all of SNOMED CT, say, holds no code of another system, and what it holds of
that system is for a terminology service to say (`asking`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from profiles.definitions.codes import Enumerator
from profiles.snapshot.source import Origin, Source

Json = dict[str, Any]
MOST_ANSWERS = 20_000
Coding = tuple[str, str]
"""System (empty where none is given) and code."""


class Codes:
    """Membership in the value sets of R4 and of the installed packages; each set is worked out once.

    Args:
        source: The definitions of R4, the packages that are installed, and what is given besides.
    """

    def __init__(self, source: Source) -> None:
        self._definitions = source.definitions
        self._source = source
        self._sets = Resources("ValueSet", source)
        self._systems = Resources("CodeSystem", source)
        self._enumerator = Enumerator(self._sets, self._systems)
        self._answers: dict[tuple[str, str, str], bool | None] = {}
        self._listed: dict[str, frozenset[Coding] | None] = {}

    def name(self, value_set: str) -> str:
        """Return how a value set is called in messages: its name, else its URL."""
        found = self._sets.get(value_set.partition("|")[0])
        return str(found.get("name") or value_set) if found else value_set

    def resource(self, kind: str, canonical: str) -> Json | None:
        """Return a definition of another kind that was given or is in a package, such as a Measure, or `None`."""
        url = canonical.partition("|")[0]
        found = self._source.library.find(canonical, resource_type=kind)
        return self._source.given(kind, url) or (found.entry.read() if found is not None else None)

    def contained(self, name: str, origin: Origin) -> str:
        """Return the URL of a value set that a profile contains."""
        url = f"{origin.key}#{name}"
        rows = origin.structure.get("contained", ())
        found = next((row for row in rows if row.get("id") == name and row.get("resourceType") == "ValueSet"), None)
        if found is not None:
            self._sets.add(url, found)
        return url

    def displays(self, value_set: str, system: str, code: str) -> Iterator[str]:
        """Yield what a value set itself displays a code as (`concept.display`, its designations, its expansion)."""
        found = self._sets.get(value_set) or self._sets.get(value_set.partition("|")[0]) or {}
        for row in _rows(found):
            if row.get("code") == code and row.get("system") == system:
                yield from (str(row["display"]),) if "display" in row else ()
                yield from (str(one.get("value")) for one in row.get("designation", ()))

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Return whether a code is in a value set, `None` where that is not known."""
        url = value_set if "#" in value_set else value_set.partition("|")[0]
        key = (url, system, code)
        if key not in self._answers:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[key] = self._known(url, system, code, ())
        return self._answers[key]

    def holds(self, value_set: Json, system: str, code: str) -> bool | None:
        """Return whether a ValueSet resource holds a code, `None` where that is not known."""
        try:
            expansion = value_set.get("expansion")
            if isinstance(expansion, dict):
                found = _contains(expansion, system, code)
                return True if found else None if _is_page(expansion) else False
            return self._composed(value_set, system, code, ())
        except (AttributeError, KeyError, TypeError, RecursionError):
            # It is not as R4 has it, or leads back to itself.
            return None

    def _known(self, url: str, system: str, code: str, within: tuple[str, ...]) -> bool | None:
        pairs = self._pairs(url)
        if pairs is not None:
            return (system, code) in pairs if system else any(code == one for _, one in pairs)
        value_set = self._sets.get(url)
        if value_set is None or url in within:
            return None
        try:
            return self._composed(value_set, system, code, (*within, url))
        except (AttributeError, KeyError, TypeError):
            # A package's value set is not as R4 has it.
            return None

    def _pairs(self, url: str) -> frozenset[Coding] | None:
        if url not in self._listed:
            required = self._definitions.required_codes(url)
            try:
                self._listed[url] = required.pairs if required else self._enumerator.pairs(url)
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                self._listed[url] = None
        return self._listed[url]

    def _composed(self, value_set: Json, system: str, code: str, within: tuple[str, ...]) -> bool | None:
        compose = value_set.get("compose", {})
        if not compose.get("include"):
            rows = [row for row in _rows(value_set) if row.get("code") == code]
            return (
                None
                if not value_set.get("expansion")
                else any(row.get("system") == system or not system for row in rows)
            )
        included = _any(self._part(part, system, code, within) for part in compose["include"])
        excluded = _any(self._part(part, system, code, within) for part in compose.get("exclude", ()))
        if included is False or excluded is True:
            return False
        return True if included and excluded is False else None

    def _part(self, part: Json, system: str, code: str, within: tuple[str, ...]) -> bool | None:
        answers: list[bool | None] = [
            self._known(str(canonical).partition("|")[0], system, code, within)
            for canonical in part.get("valueSet", ())
        ]
        if "system" in part:
            answers.append(self._of_system(part, system, code))
        if False in answers:
            return False
        return None if None in answers or not answers else True

    def _of_system(self, part: Json, system: str, code: str) -> bool | None:
        if system and part["system"] != system:
            return False
        if "concept" in part:
            return any(concept["code"] == code for concept in part["concept"])
        if part.get("filter"):
            return None
        return self.has(part["system"], code)

    def has(self, system: str, code: str) -> bool | None:
        """Return whether a code system has a code, `None` where not all of its codes are known."""
        key = f"codes of {system}"
        if key not in self._listed:
            found = self._systems.get(system.partition("|")[0], {})
            complete = found.get("content") == "complete"
            self._listed[key] = frozenset((system, one) for one in _codes(found)) if complete else None
        listed = self._listed[key]
        return None if listed is None else (system, code) in listed


class Resources(Mapping[str, Json]):
    """Value sets or code systems by URL: those given, those of packages, then those of R4."""

    def __init__(self, kind: str, source: Source) -> None:
        self._kind = kind
        self._source = source
        definitions = source.definitions
        self._core = definitions.value_set if kind == "ValueSet" else definitions.code_system
        self._read: dict[str, Json | None] = {}

    def is_of_r4(self, url: str) -> bool:
        """Return whether nothing but R4 itself has it."""
        return self._source.given(self._kind, url) is None and not self._source.library.find(
            url, resource_type=self._kind
        )

    def add(self, url: str, resource: Json) -> None:
        """Take in one that is found under no URL of its own."""
        self._read[url] = _safe(resource)

    def __getitem__(self, url: str) -> Json:
        if url not in self._read:
            found = self._source.library.find(url, resource_type=self._kind)
            value = self._source.given(self._kind, url) or (found.entry.read() if found is not None else None)
            self._read[url] = self._core(url) if value is None else _safe(value)
        row = self._read[url]
        if row is None:
            raise KeyError(url)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _safe(value: Json) -> Json:
    """Return a value set without what it selects by a regular expression: one that others wrote may take forever."""
    if any(rule.get("op") == "regex" for rule in _filters(value)):
        return {key: member for key, member in value.items() if key != "compose"}
    return value


def _rows(value_set: Json) -> Iterator[Json]:
    """Yield the concepts that a value set names itself, each with its system."""
    for part in value_set.get("compose", {}).get("include", ()):
        for concept in part.get("concept", ()):
            yield {"system": part.get("system"), **concept}
    open_ = list(value_set.get("expansion", {}).get("contains", ()))
    while open_:
        row = open_.pop()
        yield row
        open_ += row.get("contains", ())


def _filters(value_set: Json) -> Iterator[Json]:
    compose = value_set.get("compose")
    for name in ("include", "exclude"):
        for part in compose.get(name, ()) if isinstance(compose, dict) else ():
            for rule in part.get("filter", ()) if isinstance(part, dict) else ():
                if isinstance(rule, dict):
                    yield rule


def _codes(node: Json) -> Iterator[str]:
    open_concepts = list(node.get("concept", ()))
    while open_concepts:
        concept = open_concepts.pop()
        yield str(concept["code"])
        open_concepts += concept.get("concept", ())


def _is_page(expansion: Json) -> bool:
    """Return whether an expansion has less than all."""
    total = expansion.get("total")
    return type(total) is int and total > len(expansion.get("contains", ()))


def _contains(node: Json, system: str, code: str) -> bool:
    """Return whether an expansion has a code that may be chosen."""
    return any(
        (one.get("code") == code and system in ("", one.get("system")) and one.get("abstract") is not True)
        or _contains(one, system, code)
        for one in node.get("contains", ())
    )


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    if True in found:
        return True
    return None if None in found else False
