"""$expand: the concepts of a value set, page by page (https://hl7.org/fhir/R4/valueset-operation-expand.html)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from terminology import issue
from terminology.catalogue import Catalogue
from terminology.codesystem.ranking import Ranking
from terminology.concept import Concept
from terminology.issue import TxError
from terminology.languages import ANY_LANGUAGE, Wanted
from terminology.valueset.block import Block, Key
from terminology.valueset.compose import Composer, Used
from terminology.valueset.contains import Telling
from terminology.valueset.definition import Definition, definition, standards_status
from terminology.versions import NO_RULES, VersionRules
from terminology.words import split

Json = dict[str, Any]

UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
REASON = f"{UNCLOSED}-reason"
COMPOSE_PROPERTY = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.compose.property"

KEPT = (
    "resourceType",
    "id",
    "language",
    "url",
    "identifier",
    "version",
    "name",
    "title",
    "status",
    "experimental",
    "date",
)
"""Elements of the value set that its expansion has; the rest is its definition."""

DEEPEST = 100
"""Levels of a tree that is shown as one; what is deeper is shown flat."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of an expansion.

    Attributes:
        text: Words that the concepts must have.
        offset: Concepts to pass over; `None` where it was not asked.
        count: Concepts of a page; `None` for all.
        active: Whether concepts that are not to be used any more are left out.
        selectable: Whether concepts that only group others are left out.
        flat: Whether a tree is not wanted.
        designations: Whether other words are told.
        tokens: Languages and uses of designations, as `system|code`.
        definition: Whether the definition of the value set is in the answer.
        properties: Names of properties that are told.
        languages: That are wanted, by a parameter or a header.
        rules: Version parameters.
        supplements: Canonicals of supplements.
        excluded: Canonicals of code systems that are left out.
        limit: The most concepts in one answer.
        echoed: Parameters that the expansion repeats: name, key and value.
    """

    text: str = ""
    offset: int | None = None
    count: int | None = None
    active: bool = False
    selectable: bool = False
    flat: bool = False
    designations: bool = False
    tokens: tuple[str, ...] = ()
    definition: bool = False
    properties: tuple[str, ...] = ()
    languages: Wanted = ANY_LANGUAGE
    rules: VersionRules = NO_RULES
    supplements: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    limit: int = 10_000
    echoed: tuple[tuple[str, str, Any], ...] = ()

    @property
    def paged(self) -> bool:
        """Whether a part of the expansion is asked for."""
        return self.offset is not None or self.count is not None


async def expand(resource: Json, catalogue: Catalogue, asked: Asked) -> Json:
    """Return a ValueSet with its expansion.

    Args:
        resource: The ValueSet, which nobody changes from here on.
        catalogue: Where code systems and other value sets are found.
        asked: What is asked.

    Raises:
        TxError: It cannot be expanded, with the reason; `too-costly` where it has more concepts than one answer may have.
    """
    value_set = definition(resource)
    asked = _completed(value_set, asked)
    composer = Composer(catalogue, asked.rules, asked.supplements, asked.excluded)
    blocks = await composer.compose(value_set, active=asked.active)
    if asked.selectable:
        blocks = [await _selectable(one) for one in blocks]
    if asked.text.strip():
        blocks = [await _matching(one, asked.text) for one in blocks]
    total = sum(map(len, blocks))
    if asked.count is None and total - (asked.offset or 0) > asked.limit:
        raise TxError(_too_costly(value_set, asked.limit))
    telling = Telling(asked.languages, asked.designations, asked.tokens, asked.properties, value_set.language)
    contains = await _Listing(value_set, blocks, asked, telling).rows()
    expansion: Json = {"identifier": uuid4().urn, "timestamp": _now()}
    extensions = [*_unclosed(composer.used), *telling.properties_said]
    if extensions:
        expansion = {"extension": extensions, **expansion}
    if not composer.used.endless or _filtered(value_set):
        expansion["total"] = total
    if asked.paged:
        expansion["offset"] = asked.offset or 0
    parameters = _parameters(value_set, asked, composer.used)
    if parameters:
        expansion["parameter"] = parameters
    if contains:
        expansion["contains"] = contains
    kept = {key: resource[key] for key in (*resource,) if asked.definition or key in KEPT}
    return {**kept, "resourceType": "ValueSet", "expansion": expansion}


class _Listing:
    """The rows of a page, or of everything as a tree."""

    def __init__(self, value_set: Definition, blocks: Sequence[Block], asked: Asked, telling: Telling) -> None:
        self._value_set, self._blocks, self._asked, self._telling = value_set, blocks, asked, telling
        self._versioned = _versioned(value_set, blocks)

    async def rows(self) -> list[Json]:
        blocks = [one for one in self._blocks if len(one)]
        if len(blocks) == 1 and self._as_tree(blocks[0]):
            return await self._tree(blocks[0])
        left = self._asked.limit if self._asked.count is None else min(self._asked.count, self._asked.limit)
        start = self._asked.offset or 0
        found: list[Json] = []
        for one in blocks:
            if left > 0 and start < len(one):
                page = one.page(start, left)
                found += await self._rows(one, await one.concepts(page))
                left -= len(page)
            start = max(start - len(one), 0)
        return found

    def _as_tree(self, one: Block) -> bool:
        asked = self._asked
        plain = not (asked.flat or asked.paged or asked.text.strip() or self._value_set.excludes)
        return plain and one.whole and one.provider is not None and bool(one.provider.head.hierarchy)

    async def _tree(self, one: Block) -> list[Json]:
        concepts = await one.concepts(one.order)
        told = await self._rows(one, concepts)
        rows = {concept.ordinal: row for concept, row in zip(concepts, told, strict=True)}
        above = {
            concept.ordinal: next((parent for parent in concept.parents if parent in rows), None)
            for concept in concepts
        }
        if not _shallow(above):
            return list(rows.values())
        found: list[Json] = []
        for ordinal, row in rows.items():
            parent = above[ordinal]
            (found if parent is None else rows[parent].setdefault("contains", [])).append(row)
        return found

    async def _rows(self, one: Block, concepts: Sequence[Concept]) -> list[Json]:
        version = one.version if one.system in self._versioned else ""
        near = await self._telling.near(one.provider, concepts)
        return [
            self._telling.row(
                one.system, version, one.provider, concept, one.listed.get(concept.code), near=near.get(concept.ordinal)
            )
            for concept in concepts
        ]


def _shallow(above: dict[int, int | None]) -> bool:
    """Return whether a tree has no circle and few levels."""
    depths: dict[int, int] = {}
    for ordinal in above:
        path = []
        at: int | None = ordinal
        while at is not None and at not in depths:
            path.append(at)
            if len(path) > DEEPEST:
                return False
            at = above[at]
        depth = depths[at] if at is not None else 0
        for one in reversed(path):
            depth += 1
            depths[one] = depth
        if depth > DEEPEST:
            return False
    return True


def _completed(value_set: Definition, asked: Asked) -> Asked:
    """Return what is asked with what the value set itself asks for, where the request says nothing."""
    stated = value_set.parameters
    languages = asked.languages or Wanted.read(next(iter(stated.get("displayLanguage", ())), "") or value_set.language)
    compose = value_set.resource.get("compose")
    extensions = compose.get("extension") if isinstance(compose, dict) else None
    properties = [
        one["valueString"]
        for one in (extensions if isinstance(extensions, list) else ())
        if isinstance(one, dict) and one.get("url") == COMPOSE_PROPERTY and isinstance(one.get("valueString"), str)
    ]
    return replace(
        asked,
        languages=languages,
        properties=tuple(dict.fromkeys((*asked.properties, *properties, *stated.get("property", ())))),
        active=asked.active or stated.get("activeOnly") == ("true",),
        designations=asked.designations or stated.get("includeDesignations") == ("true",),
    )


async def _selectable(one: Block) -> Block:
    """Return a block without the concepts that only group others."""
    gone = [code for code, concept in one.loose.items() if concept.abstract]
    return one.without(await one.provider.abstract(), gone) if one.provider else one.without(one.members, gone)


async def _matching(one: Block, text: str) -> Block:
    """Return the concepts of a block that have the words, the best first."""
    sought = split(text)
    ranked = await one.provider.matching(text, one.members) if one.provider and one.members else ()
    if isinstance(ranked, Ranking) and not one.listed and not one.loose:
        return replace(one, members=ranked.members, keys=ranked, whole=False)
    found = list(ranked)
    known = set(found)
    own = [key for key in one.order if isinstance(key, int) and key not in known] if one.listed else []
    more = [
        concept.ordinal
        for concept in await one.concepts(own)
        if _has_words(str(one.listed.get(concept.code, {}).get("display", "")), sought)
    ]
    loose = {
        code: concept
        for code, concept in one.loose.items()
        if _has_words(f"{code} {concept.display} {one.listed.get(code, {}).get('display', '')}", sought)
    }
    keys: tuple[Key, ...] = (*found, *more, *loose)
    return replace(one, members=one.members & type(one.members)((*found, *more)), loose=loose, keys=keys, whole=False)


def _has_words(text: str, sought: Sequence[str]) -> bool:
    words = split(text)
    return bool(sought) and all(any(word.startswith(part) for word in words) for part in sought)


def _versioned(value_set: Definition, blocks: Sequence[Block]) -> frozenset[str]:
    """Return the code systems of which more than one version is spoken of, so that each concept tells its own."""
    found: dict[str, set[str]] = {}
    for part in value_set.parts:
        if part.system:
            found.setdefault(part.system, set()).add(part.version)
    several = {system for system, versions in found.items() if len(versions) > 1}
    found = {}
    for one in blocks:
        found.setdefault(one.system, set()).add(one.version)
    return frozenset(several | {system for system, versions in found.items() if len(versions) > 1})


def _filtered(value_set: Definition) -> bool:
    return all(part.filters or part.concepts for part in value_set.includes if part.system)


def _unclosed(used: Used) -> list[Json]:
    """Return the extensions that say that there are more codes than the expansion has."""
    reasons = [
        f"The code System '{url}' has a grammar and so has infinite members. This extension is based on its well-known codes"
        for url in used.endless
    ]
    reasons += [
        f"This extension is based on a fragment of the code system {provider.head.url}"
        for provider in used.systems.values()
        if provider.head.content in {"fragment", "example"}
    ]
    if not reasons:
        return []
    return [{"url": UNCLOSED, "valueBoolean": True}, *({"url": REASON, "valueString": reason} for reason in reasons)]


def _parameters(value_set: Definition, asked: Asked, used: Used) -> list[Json]:
    """Return what the expansion rests on: what was asked, and what was used with its versions and its status."""
    rows = [{"name": name, key: value} for name, key, value in asked.echoed]
    if asked.languages:
        rows.append({"name": "displayLanguage", "valueCode": str(asked.languages)})
    rows += [{"name": name, "valueUri": value} for name, value in used.rules]
    if used.across:
        rows.append({"name": "versionsMatch", "valueBoolean": True})
    for canonical, provider in used.systems.items():
        rows.append({"name": "used-codesystem", "valueUri": canonical})
        if provider.head.content in {"fragment", "example"}:
            rows.append({"name": f"used-{provider.head.content}", "valueUri": canonical})
    rows += [{"name": "used-valueset", "valueUri": canonical} for canonical in used.value_sets]
    rows += [{"name": "used-supplement", "valueUri": canonical} for canonical in used.supplements]
    rows += [{"name": "warning-unknown-codesystem", "valueUri": canonical} for canonical in used.unknown]
    heads = [one.head for one in used.systems.values()]
    about = [(one.canonical, one.standards_status, one.status, one.experimental) for one in heads]
    about += [
        (canonical, standards_status(one), str(one.get("status", "")), one.get("experimental") is True)
        for canonical, one in (*used.value_sets.items(), (value_set.canonical, value_set.resource))
        if canonical
    ]
    for canonical, standing, status, experimental in about:
        warning = _warning(value_set.resource, standing, status, experimental=experimental)
        if warning:
            rows.append({"name": f"warning-{warning}", "valueUri": canonical})
    return list({(row["name"], str(row)): row for row in rows}.values())


def _warning(root: Json, standing: str, status: str, *, experimental: bool) -> str:
    """Return what is to be said of something that an expansion rests on; that a draft rests on drafts goes without saying."""
    if standing in {"deprecated", "withdrawn"}:
        return standing
    if status == "retired":
        return "retired"
    if experimental and root.get("experimental") is not True:
        return "experimental"
    drafts = {"draft"} & {standing, status}
    return "draft" if drafts and "draft" not in (root.get("status"), standards_status(root)) else ""


def _too_costly(value_set: Definition, limit: int) -> issue.TxIssue:
    found = issue.TOO_COSTLY.issue(value_set=value_set.canonical, limit=f">{limit}")
    return replace(
        found,
        text=f"{found.text}. Ask for a page of it by 'count' and 'offset', or for what has some words by 'filter'.",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
