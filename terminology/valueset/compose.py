"""What a value set consists of, as blocks of concepts: includes, excludes, filters, imports (R4 ValueSet.compose)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pyroaring import BitMap

from terminology import issue, versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider, Filter, InvalidFilter, NotEnumerable
from terminology.codesystem.supplemented import Supplemented
from terminology.concept import Concept
from terminology.issue import TxError
from terminology.valueset import block
from terminology.valueset.block import Block, Key, TooManyToCompare
from terminology.valueset.definition import Definition, Part, definition, text
from terminology.valueset.effort import Effort, not_too_deep
from terminology.versions import NO_RULES, ConflictingVersions, VersionRules

Json = dict[str, Any]


MOST_ALONE = 100
"""Listed codes that a code system does not have in its list, and is asked for one by one."""


@dataclass(slots=True)
class Used:
    """What an expansion rests on, for its parameters.

    Attributes:
        systems: Code systems, by canonical.
        value_sets: Imported value sets that have a URL.
        supplements: Canonicals of supplements.
        rules: Version parameters that decided about a version, as name and value.
        unknown: Code systems that are not here, of which the value set lists codes.
        endless: Code systems with a grammar, of which only well-known codes are given.
        across: Whether concepts of two versions counted as the same.
    """

    systems: dict[str, CodeSystemProvider] = field(default_factory=dict)
    value_sets: dict[str, Json] = field(default_factory=dict)
    supplements: dict[str, Json] = field(default_factory=dict)
    rules: dict[tuple[str, str], None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    endless: dict[str, None] = field(default_factory=dict)
    across: bool = False


class Composer:
    """Works out one value set.

    Args:
        catalogue: Where code systems and value sets are found.
        rules: Version parameters of the request.
        supplements: Canonicals of supplements that are asked for.
        excluded: Canonicals of code systems that are left out.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        rules: VersionRules = NO_RULES,
        supplements: Sequence[str] = (),
        excluded: Sequence[str] = (),
    ) -> None:
        self._catalogue, self._rules = catalogue, rules
        self._asked_supplements = tuple(supplements)
        self._excluded = [versions.split(one) for one in excluded]
        self._supplements: dict[str, dict[str, Json]] = {}
        self._providers: dict[tuple[str, str], CodeSystemProvider | None] = {}
        self._done: dict[tuple[int, bool], tuple[Json, list[Block]]] = {}
        self._effort = Effort()
        self.used = Used()

    async def compose(self, value_set: Definition, *, active: bool = False) -> list[Block]:
        """Return the concepts of a value set.

        Args:
            value_set: Which.
            active: Whether concepts that are not to be used any more are left out.

        Raises:
            TxError: It cannot be worked out, with the reason.
        """
        try:
            await self._require(*self._asked_supplements)
            return await self._composed(value_set, (), {}, active=active)
        except ConflictingVersions as error:
            told = {"system": error.one.url, "one": error.one.version, "other": error.other.version}
            raise TxError(issue.CONFLICTING_VERSIONS.issue(**told)) from None
        except TooManyToCompare:
            raise TxError(
                issue.TOO_COSTLY.issue(
                    value_set=value_set.canonical, limit=f">{block.MOST_COMPARED} codes of two versions to compare"
                )
            ) from None

    async def _composed(
        self, value_set: Definition, path: tuple[Definition, ...], contained: dict[str, Json], *, active: bool
    ) -> list[Block]:
        if not value_set.composed:
            return await self._stored(value_set, active=active)
        here = (*path, value_set)
        within = {**contained, **value_set.contained}
        await self._require(*value_set.supplements)
        active = active or value_set.inactive is False
        included = [
            one for part in value_set.includes for one in await self._part(value_set, part, here, within, active=active)
        ]
        excluded = [
            one for part in value_set.excludes for one in await self._part(value_set, part, here, within, active=False)
        ]
        stated = next(iter(value_set.parameters.get("versionsMatch", ())), "")
        several = _several(included, excluded)
        self.used.across |= several and (stated == "true" or (bool(value_set.excludes) and stated != "false"))
        if stated == "true" and several:
            included = sorted(included, key=_newness(included))
        found = await block.joined(included, across=stated == "true")
        return await block.without(found, excluded, across=stated != "false")

    async def _part(
        self,
        value_set: Definition,
        part: Part,
        path: tuple[Definition, ...],
        contained: dict[str, Json],
        *,
        active: bool,
    ) -> list[Block]:
        """Return the concepts of an include or exclude: of its code system, and in all of its value sets."""
        await self._effort.spend(value_set.canonical)
        found = await self._of_system(value_set, part, active=active) if part.system else None
        for canonical in part.imports:
            imported = await self._imported(canonical, path, contained, active=active)
            found = imported if found is None else await block.common(found, imported)
        return found or []

    async def _of_system(self, value_set: Definition, part: Part, *, active: bool) -> list[Block]:
        if self._left_out(part.system, part.version):
            return []
        provider = await self.system(part.system, part.version, listed=part.concepts is not None)
        if provider is None:
            return [_unverified(part)]
        if part.concepts is not None:
            found = await self._listed(provider, part)
        else:
            found = await self._all(provider)
        for at, rule in enumerate(part.filters):
            place = f"ValueSet[{value_set.canonical}].compose.{part.place}.filter[{at}]"
            found = await self._filtered(provider, found, rule, value_set.url, place)
        if active:
            gone = [code for code, concept in found.loose.items() if concept.inactive]
            found = found.without(await provider.inactive(), gone)
        return [found] if len(found) else []

    async def _all(self, provider: CodeSystemProvider) -> Block:
        head = provider.head
        try:
            members = await provider.everything()
        except NotEnumerable:
            members = await provider.common()
            self.used.endless[head.url] = None
        return Block(head.url, head.version, provider, members, whole=True)

    async def _listed(self, provider: CodeSystemProvider, part: Part) -> Block:
        """Return the listed concepts that the code system has, in the order of the list."""
        listed = part.concepts or {}
        found = await self._found(provider, list(listed))
        members, loose, rows = BitMap(), {}, {}
        keys: dict[Key, None] = {}
        for code, concept in found.items():
            rows[concept.code] = listed[code]
            keys[concept.ordinal if concept.ordinal >= 0 else concept.code] = None
            if concept.ordinal >= 0:
                members.add(concept.ordinal)
            else:
                loose[concept.code] = concept
        return Block(part.system, provider.head.version, provider, members, loose, tuple(keys), rows)

    async def _found(self, provider: CodeSystemProvider, codes: Sequence[str]) -> dict[str, Concept]:
        """Return concepts by code, those that are not there left out; those of a list are asked for all at once."""
        ordinals = await provider.ordinals(codes)
        wanted = list(dict.fromkeys(ordinals.values()))
        by_ordinal = dict(zip(wanted, await provider.concepts(wanted), strict=True))
        found: dict[str, Concept] = {}
        # A list has told all that it has; only what has a grammar may know more codes, and a few are asked for anyhow.
        alone = provider.head.compositional or len(codes) - len(ordinals) <= MOST_ALONE
        for code in codes:
            if code in ordinals:
                found[code] = by_ordinal[ordinals[code]]
            elif alone and (concept := await provider.find(code)) is not None:
                found[code] = concept
        return found

    async def _filtered(self, provider: CodeSystemProvider, found: Block, rule: Filter, name: str, place: str) -> Block:
        """Return the concepts of a block that a filter selects too.

        Args:
            provider: The code system.
            found: The block.
            rule: The filter.
            name: Of the value set, for the text.
            place: Of the filter in it.

        Raises:
            TxError: The filter is not complete, or not one of the code system.
        """
        if not rule.value:
            told = {"system": provider.head.url, "property": rule.property, "op": rule.op}
            raise TxError(issue.FILTER_WITHOUT_VALUE.issue(f"{place}.value", **told))
        try:
            loose = [code for code, concept in found.loose.items() if await provider.holds(rule, concept)]
            try:
                return found.kept(await provider.select(rule), loose)
            except NotEnumerable:
                known = await provider.concepts(list(found.members))
                return found.kept(BitMap([one.ordinal for one in known if await provider.holds(rule, one)]), loose)
        except InvalidFilter as error:
            told = {"property": rule.property, "op": rule.op, "value": rule.value, "value_set": name}
            said = issue.FILTER_NOT_UNDERSTOOD.issue(place, **told, system=provider.head.url)
            raise TxError(said.because(str(error))) from None

    async def system(self, url: str, stated: str, *, listed: bool = False) -> CodeSystemProvider | None:
        """Return the version of a code system that is meant, with its supplements.

        Args:
            url: Its system URI.
            stated: The version that the value set states, or nothing.
            listed: Whether codes of it are listed, so that one that nobody knows at all is `None`.

        Raises:
            TxError: There is none, or a check of versions forbids it.
        """
        if (url, stated) in self._providers:
            return self._providers[url, stated]
        wanted = self._rules.wanted(url, stated)
        candidates = await self._catalogue.code_systems(url)
        provider = versions.newest(
            candidates, wanted.version, lambda one: (one.head.version, one.head.version_algorithm)
        )
        if provider is None:
            if listed and not candidates:
                self.used.unknown[f"{url}|{wanted.version}" if wanted.version else url] = None
                self._providers[url, stated] = None
                return None
            raise TxError(_unknown(url, wanted.version, candidates), unknown=url)
        head = provider.head
        for rule in self._rules.broken(url, head.version, head.version_algorithm):
            told = {"version": head.version, "system": url, "required": rule.version}
            raise TxError(issue.VERSION_CHECK.issue(**told))
        if wanted.rule is not None:
            self.used.rules[wanted.rule.parameter, wanted.rule.canonical] = None
        supplements = self._supplements.get(url)
        if supplements:
            self.used.supplements |= supplements
            provider = Supplemented(provider, tuple(supplements.values()))
        self.used.systems[head.canonical] = provider
        self._providers[url, stated] = provider
        return provider

    async def _imported(
        self, canonical: str, path: tuple[Definition, ...], contained: dict[str, Json], *, active: bool
    ) -> list[Block]:
        inner = canonical.startswith("#")
        resource = contained.get(canonical) if inner else await self._value_set(canonical)
        if resource is None:
            raise TxError(issue.UNKNOWN_IMPORT.issue(value_set=canonical))
        imported = definition(resource)
        if any(imported.same(one) for one in path):
            pathway = ", ".join(one.canonical or f"#{one.id}" for one in path)
            raise TxError(issue.CYCLE.issue(value_set=imported.canonical or canonical, pathway=pathway))
        not_too_deep(len(path) + 1, imported.canonical)
        if not inner:
            self.used.value_sets[imported.canonical] = resource
        # Kept with the resource, so that no other has its identity: many imports of the same are worked out once.
        known = self._done.get((id(resource), active))
        if known is None:
            found = await self._composed(imported, path, contained if inner else {}, active=active)
            known = resource, [replace(one, whole=False) for one in found]
            self._done[id(resource), active] = known
        return known[1]

    async def _value_set(self, canonical: str) -> Json:
        url, stated = versions.split(canonical)
        wanted = self._rules.wanted(url, stated)
        found = await versions.value_set(self._catalogue, url, wanted.version)
        if found is None:
            if await self._catalogue.code_system_resources(url):
                raise TxError(issue.IMPORT_IS_CODE_SYSTEM.issue(value_set=canonical))
            if wanted.version:
                raise TxError(issue.UNKNOWN_IMPORT_VERSION.issue(value_set=url, version=wanted.version))
            raise TxError(issue.UNKNOWN_IMPORT.issue(value_set=canonical))
        version, algorithm = versions.of_resource(found)
        for rule in self._rules.broken(url, version, algorithm):
            raise TxError(issue.VERSION_CHECK.issue(version=version, system=url, required=rule.version))
        if wanted.rule is not None:
            self.used.rules[wanted.rule.parameter, wanted.rule.canonical] = None
        return found

    async def _require(self, *canonicals: str) -> None:
        """Keep supplements for the code systems that they are about.

        Raises:
            TxError: One of them is not here.
        """
        missing = []
        for canonical in canonicals:
            url, wanted = versions.split(canonical)
            candidates = [
                one for one in await self._catalogue.code_system_resources(url) if one.get("content") == "supplement"
            ]
            found = versions.newest(candidates, wanted, versions.of_resource)
            if found is None:
                missing.append(canonical)
            else:
                about, _ = versions.split(str(found.get("supplements", "")))
                version = versions.of_resource(found)[0]
                self._supplements.setdefault(about, {})[f"{url}|{version}" if version else url] = found
        if missing:
            message = issue.SUPPLEMENT_MISSING if len(missing) == 1 else issue.SUPPLEMENTS_MISSING
            raise TxError(message.issue(supplements=", ".join(missing)))

    async def _stored(self, value_set: Definition, *, active: bool) -> list[Block]:
        """Return what the expansion of a value set lists that has no compose."""
        if not value_set.listed:
            if isinstance(value_set.resource.get("expansion"), dict):
                return []
            raise TxError(issue.NO_COMPOSE.issue(value_set=value_set.canonical))
        parts: dict[tuple[str, str], dict[str, Json]] = {}
        for (system, code), row in value_set.listed.items():
            if not (active and row.get("inactive") is True):
                parts.setdefault((system, str(row.get("version", ""))), {})[code] = row
        found = []
        for (system, version), rows in parts.items():
            part = Part("expansion", system, version, rows, (), ())
            if not self._left_out(system, version):
                found.append(await self._remembered(part))
        return found

    async def _remembered(self, part: Part) -> Block:
        """Return the codes of a stored expansion; those that the code system here does not have are there all the same."""
        try:
            provider = await self.system(part.system, part.version, listed=True)
        except TxError as error:
            if not error.unknown:
                raise
            provider = None
        bare = _unverified(part)
        if provider is None:
            return bare
        known = await self._listed(provider, part)
        lost = {code: concept for code, concept in bare.loose.items() if code not in known.listed}
        keys = (*(known.keys or ()), *lost)
        return Block(
            part.system,
            known.version,
            provider,
            known.members,
            {**known.loose, **lost},
            keys,
            {**bare.listed, **known.listed},
        )

    def _left_out(self, system: str, version: str) -> bool:
        return any(
            url == system and (not wanted or versions.matches(wanted, version)) for url, wanted in self._excluded
        )


def _unverified(part: Part) -> Block:
    """Return the listed codes of a code system that is not here, as the value set words them."""
    listed = part.concepts or {}
    loose = {
        code: Concept(
            code,
            text(row.get("display")),
            inactive=row.get("inactive") is True,
            abstract=row.get("abstract") is True,
        )
        for code, row in listed.items()
    }
    return Block(part.system, part.version, None, BitMap(), loose, tuple(loose), listed)


def _unknown(url: str, version: str, candidates: Sequence[CodeSystemProvider]) -> issue.TxIssue:
    if not version:
        return issue.UNKNOWN_SYSTEM_EXPANDING.issue(system=url)
    known = versions.ordered(one.head.version for one in candidates if one.head.version)
    if not known:
        return issue.NO_SYSTEM_VERSION_EXPANDING.issue(system=url, version=version)
    return issue.UNKNOWN_SYSTEM_VERSION_EXPANDING.issue(
        system=url, version=version, versions=versions.enumerated(known)
    )


def _several(*groups: Sequence[Block]) -> bool:
    """Return whether blocks are of several versions of one code system."""
    known: dict[str, set[str]] = {}
    for group in groups:
        for one in group:
            known.setdefault(one.system, set()).add(one.version)
    return any(len(one) > 1 for one in known.values())


def _newness(blocks: Sequence[Block]) -> Callable[[Block], tuple[int, int]]:
    """Return what sorts blocks of a code system by version, the newest first, and leaves code systems where they are."""
    known: dict[str, set[str]] = {}
    for one in blocks:
        known.setdefault(one.system, set()).add(one.version)
    places = {system: at for at, system in enumerate(known)}
    orders = {system: versions.ordered(one) for system, one in known.items()}
    return lambda one: (places[one.system], -orders[one.system].index(one.version))
