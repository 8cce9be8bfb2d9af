"""Whether a code is in a value set, asked of its definition, not of its expansion (R4 ValueSet.compose).

Nothing is listed for it: a code is looked up, and each filter is asked whether it selects that one concept. So it costs the same for
systems without end and for those with hundreds of thousands of concepts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from terminology import issue, versions
from terminology.codesystem.provider import CodeSystemProvider, InvalidFilter, NotEnumerable
from terminology.concept import Concept
from terminology.display import Displays
from terminology.issue import TxIssue, TxRefusal
from terminology.valueset import status
from terminology.valueset.definition import Definition, Json, Part, deprecation
from terminology.valueset.effort import Effort, not_too_deep
from terminology.valueset.systems import Options, Systems, at


@dataclass(frozen=True, slots=True)
class Code:
    """A code that somebody wants to know about.

    Attributes:
        system: URI of its code system, empty where it is not stated.
        code: As it is written.
        version: Of the code system, empty where it is not stated.
        display: As it is written beside the code, or empty.
        path: Where it stands, such as `CodeableConcept.coding[0]`; empty for parameters of their own.
        settled: Whether its version is what was found already: then it has no say in which version an include means.
    """

    system: str
    code: str
    version: str = ""
    display: str = ""
    path: str = ""
    settled: bool = False

    def suits(self, found: "Found | None") -> bool:
        """Return whether what was found is of the version that is settled, if one is."""
        return not self.settled or (found is not None and found.provider.head.version == self.version)

    def anyhow(self) -> "Code":
        """Return the code of any version, where one is settled: what several value sets have is the same in all versions."""
        return replace(self, version="", settled=False) if self.settled else self

    def __str__(self) -> str:
        version = f"|{self.version}" if self.version else ""
        display = f" ('{self.display}')" if self.display else ""
        return f"'{self.system}{version}#{self.code}{display}'"


@dataclass(frozen=True, slots=True)
class Found:
    """A concept that a code stands for.

    Attributes:
        provider: Its code system.
        concept: The concept.
        listed: Element of ValueSet.compose.include.concept that lists it, where one does.
    """

    provider: CodeSystemProvider
    concept: Concept
    listed: Json | None = None

    @property
    def displays(self) -> Displays:
        """What it may be called."""
        return Displays(self.concept, self.provider.head.language, self.listed)


@dataclass(slots=True)
class Trail:
    """What was seen on the way to an answer.

    Attributes:
        issues: Findings, in order, each once.
        unknown: Canonicals of code systems that are not here.
        found: What the code stands for, where it is in the value set.
        refused: The concept that would be in the value set if it were active.
        version: Of the code system that the answer comes from.
    """

    issues: dict[TxIssue, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    found: Found | None = None
    refused: Concept | None = None
    version: str = ""

    def say(self, *found: TxIssue) -> None:
        """Add findings."""
        self.issues.update(dict.fromkeys(found))

    def join(self, other: "Trail") -> None:
        """Take over what another trail has."""
        self.issues |= other.issues
        self.unknown |= other.unknown
        self.found = other.found or self.found
        self.refused = other.refused or self.refused
        self.version = other.version or self.version


class Membership:
    """Answers whether codes are in value sets, for one request.

    Args:
        systems: Finds code systems and value sets, by the rules of the request.
        options: What the request asks for.
    """

    def __init__(self, systems: Systems, options: Options) -> None:
        self._systems, self._options = systems, options
        self._prepared: dict[int, Definition] = {}
        self._held: dict[tuple[object, ...], tuple[Definition, bool | None, Trail]] = {}
        self._effort = Effort()

    async def prepare(self, value_set: Definition, pathway: tuple[Definition, ...] = ()) -> None:
        """See to it that all that a value set refers to is here, and that it does not refer to itself.

        Raises:
            TxError: An imported value set is not here.
            TxRefusal: It imports itself, or a filter has no value.
        """
        if any(value_set.same(one) for one in pathway):
            names = ", ".join(one.canonical or "#" + one.id for one in pathway)
            raise TxRefusal(issue.CYCLE.issue(value_set=value_set.canonical or "#" + value_set.id, pathway=names))
        if id(value_set) in self._prepared:
            return
        not_too_deep(len(pathway) + 1, value_set.canonical)
        for part in value_set.parts:
            await self._effort.spend(value_set.canonical)
            for other in part.imports:
                await self._effort.spend(other)
                await self.prepare(await self._systems.value_set(other, value_set), (*pathway, value_set))
            if any(not rule.value for rule in part.filters) and await self._systems.find(part.system, part.version):
                where, rule = next(row for row in enumerate(part.filters) if not row[1].value)
                path = f"ValueSet.compose.{part.place}.filter[{where}]"
                told = {"system": part.system, "property": rule.property, "op": rule.op}
                raise TxRefusal(issue.FILTER_WITHOUT_VALUE.issue(path, **told))
        self._prepared[id(value_set)] = value_set

    async def holds(
        self, value_set: Definition, code: Code, trail: Trail, *, active: bool | None = None
    ) -> bool | None:
        """Return whether a code is in a value set, `None` where it cannot be told, as a code system is not here.

        Args:
            value_set: Which.
            code: Which.
            trail: Told what is seen on the way.
            active: Whether inactive concepts are refused; `None` for what the request says. A value set can say so itself.
        """
        active = (self._options.active_only if active is None else active) or value_set.inactive is False
        if not value_set.composed:
            return await self._in_expansion(value_set, code, trail, active=active)
        failed: list[Trail] = []
        unsure = False
        for part in await self._ordered(value_set, code):
            branch = Trail()
            held = await self._in(value_set, part, code, branch, active=active)
            held = held and code.suits(branch.found)
            if held and not await self._excluded(value_set, code, branch):
                trail.join(branch)
                return True
            if held and not _apart(value_set):
                trail.join(branch)
                return False
            unsure = unsure or held is None
            failed.append(branch)
        if _apart(value_set) and value_set.excludes and not code.version:
            # What is excluded in the version that was looked at first may be there in another one.
            for version in reversed(await self._systems.versions(code.system)):
                branch = Trail()
                if await self.holds(value_set, replace(code, version=version, settled=True), branch, active=active):
                    trail.join(branch)
                    return True
        for branch in failed:
            trail.join(branch)
        return None if unsure else False

    async def infer(self, value_set: Definition, code: str) -> Sequence[str]:
        """Return the code systems of which a value set may mean a code that comes without one."""
        systems = await self._of(value_set)
        held = [one for one in systems if await self.holds(value_set, Code(one, code), Trail())]
        if held:
            return held
        known = {part.system for part in value_set.includes if part.system and part.concepts is None}
        providers = [await self._systems.find(one) for one in sorted(known)]
        return [one.head.url for one in providers if one is not None and await one.find(code)]

    async def _of(self, value_set: Definition) -> Sequence[str]:
        """Return the code systems of a value set and of those that it imports."""
        among = await self._systems.reached(value_set, excludes=False)
        listed = {system for one in among for system, _ in one.listed}
        return sorted(listed | {part.system for one in among for part in one.includes if part.system})

    async def _ordered(self, value_set: Definition, code: Code) -> Sequence[Part]:
        """Return the includes that count, those that state versions of the code's system with the best version first."""
        stated = value_set.versions(code.system)
        if code.settled:
            return value_set.includes
        if code.version in stated:
            return [one for one in value_set.includes if one.system != code.system or one.version == code.version]
        if len(stated) < 2:
            return value_set.includes
        newest_first = versions.ordered(stated)[::-1]
        if not code.version:
            best = [one for one in newest_first if await self._knows(code, one)]
            newest_first.sort(key=lambda one: one not in best)
        places = [at for at, one in enumerate(value_set.includes) if one.system == code.system and one.version]
        ranked = sorted(places, key=lambda place: newest_first.index(value_set.includes[place].version))
        moved = dict(zip(places, ranked, strict=True))
        return [value_set.includes[moved.get(at, at)] for at in range(len(value_set.includes))]

    async def _knows(self, code: Code, version: str) -> bool:
        """Return whether a version of a code system has a code, with the display that is written beside it."""
        provider = await self._systems.find(code.system, version)
        concept = await provider.find(code.code) if provider else None
        if provider is None or concept is None:
            return False
        words = Found(provider, concept).displays
        return not code.display or words.check(code.display, self._options.languages, "", "", "") is None

    async def _in(self, value_set: Definition, part: Part, code: Code, trail: Trail, *, active: bool) -> bool | None:
        """Return whether a code is in an include."""
        held: bool | None = not part.system
        if part.system and part.system == code.system:
            wanted = await self._wanted(part, code, trail)
            provider = await self._systems.find(part.system, wanted)
            if provider is None:
                if self._options.membership_only:
                    return False
                await self._systems.unknown(code.system, wanted, code.path, trail)
                return None
            self._systems.checked(provider, code.path, trail)
            trail.say(*status.of_code_system(provider.head, value_set))
            found = await self._selects(value_set, part, provider, code)
            if found is None:
                held = await self._missing(part, provider, code, trail)
            else:
                held = self._usable(value_set, found, code, trail, active=active)
        for at_import, name in enumerate(part.imports):
            other = await self._systems.value_set(name, value_set)
            trail.say(*status.of_value_set(other, value_set))
            if held:
                seen, own = Trail(), trail.found
                meant = code.anyhow() if part.system or at_import else code
                held = await self._held_by(other, meant, seen, active=active)
                trail.join(seen)
                trail.found = own or seen.found
        return held

    async def _held_by(self, value_set: Definition, code: Code, trail: Trail, *, active: bool) -> bool | None:
        """Return whether a code is in an imported value set, which is found out once however many import it."""
        key = (id(value_set), code, active)
        known = self._held.get(key)
        if known is None:
            branch = Trail()
            held = await self.holds(value_set, code, branch, active=active)
            # Kept with the definition, so that no other has its identity.
            known = self._held[key] = value_set, held, branch
        trail.join(known[2])
        return known[1]

    async def _excluded(self, value_set: Definition, code: Code, trail: Trail) -> bool:
        own = trail.found.provider.head.version if trail.found and _apart(value_set) else None
        for part in value_set.excludes:
            held: bool | None = not part.system
            if part.system and part.system == code.system:
                provider = await self._systems.find(part.system, part.version)
                if provider is None:
                    await self._systems.unknown(part.system, part.version, code.path, trail)
                    return True
                same = own is None or provider.head.version == own
                held = same and await self._selects(value_set, part, provider, code) is not None
            meant = replace(code, version=own, settled=True) if own is not None and not part.system else code
            for name in part.imports:
                if held:
                    other = await self._systems.value_set(name, value_set)
                    held = await self._held_by(other, meant, Trail(), active=False)
                meant = meant.anyhow()
            if held:
                return True
        return False

    async def _selects(
        self, value_set: Definition, part: Part, provider: CodeSystemProvider, code: Code
    ) -> Found | None:
        """Return what a part selects under a code, whatever its state."""
        concept = await provider.find(code.code)
        if concept is None:
            return None
        listed = None
        if part.concepts is not None:
            listed = part.concepts.get(code.code) or part.concepts.get(concept.code)
            if listed is None:
                return None
        for rule in part.filters:
            try:
                if not await provider.holds(rule, concept):
                    return None
            except (InvalidFilter, NotEnumerable) as error:
                names = {"property": rule.property, "op": rule.op, "value": rule.value}
                said = issue.FILTER_NOT_UNDERSTOOD.issue(
                    f"ValueSet.compose.{part.place}.filter", **names, value_set=value_set.url, system=part.system
                )
                raise TxRefusal(said.because(str(error))) from None
        return Found(provider, concept, listed)

    def _usable(self, value_set: Definition, found: Found, code: Code, trail: Trail, *, active: bool) -> bool:
        """Return whether a concept that an include selects may be used; otherwise the trail says why not."""
        head = found.provider.head
        concept, quiet = found.concept, self._options.membership_only
        where = at(code.path, "code")
        trail.version = head.version
        if concept.abstract and not self._options.abstract:
            if not quiet:
                trail.say(issue.ABSTRACT.issue(where, system=code.system, code=code.code))
            return False
        if concept.inactive and active:
            if not quiet:
                trail.refused = concept
                trail.say(issue.NOT_ACTIVE.issue(where, code=code.code))
            return False
        if concept.code != code.code:
            case = concept.code.casefold() == code.code.casefold()
            message = issue.CASE_DIFFERENCE if case else issue.NOT_NORMAL_FORM
            trail.say(message.issue(where, code=code.code, right=concept.code, system=head.canonical))
        discouraged = deprecation(found.listed) if found.listed else ""
        if discouraged:
            names = {"code": code.code, "system": code.system, "value_set": value_set.canonical}
            trail.say(issue.DEPRECATED_IN_VALUE_SET.issue(where, **names, status=discouraged))
        trail.found = found
        return True

    async def _missing(self, part: Part, provider: CodeSystemProvider, code: Code, trail: Trail) -> bool:
        """Return whether a code that is not selected may be in an include all the same: a part of a code system lacks some."""
        whole, named = provider.head.content == "complete", part.concepts is None or code.code in part.concepts
        if part.filters or not named or await provider.find(code.code) is not None:
            return False
        if whole and part.concepts is not None:
            return False
        if not self._options.membership_only:
            trail.say(*unknown_code(provider, code))
        trail.version = provider.head.version
        return not whole

    async def _in_expansion(self, value_set: Definition, code: Code, trail: Trail, *, active: bool) -> bool | None:
        """Return whether a code is in a value set that is there as an expansion only."""
        row = value_set.listed.get((code.system, code.code))
        if row is None:
            return False
        listed = str(row.get("version") or "")
        if code.version and listed and not versions.matches(listed, code.version):
            names = {"system": code.system, "version": listed, "given": code.version}
            trail.say(issue.MISMATCH.issue(at(code.path, "version"), **names))
            return False
        part = Part("expansion", code.system, code.version or listed, None, (), ())
        return await self._in(value_set, part, code, trail, active=active)

    async def _wanted(self, part: Part, code: Code, trail: Trail) -> str:
        """Return which version of a code system an include means for a code; the trail tells of what does not go together."""
        system, given = part.system, code.version
        wanted = self._systems.wanted(system, part.version)
        if not given or code.settled:
            return wanted
        algorithm = await self._systems.algorithm(system)
        if wanted and versions.more_detailed(wanted, given, algorithm):
            wanted = given
        known = await self._systems.versions(system)
        if not wanted and any(versions.matches(given, one, algorithm) for one in known):
            wanted = given
        provider = await self._systems.find(system, wanted)
        where = at(code.path, "version")
        if provider is None:
            if wanted != given:
                trail.say(issue.MISMATCH.issue(where, system=system, version=wanted, given=given))
            return wanted
        have = provider.head.version
        if versions.matches(given, have, algorithm):
            return wanted
        names = {"system": system, "given": given}
        if not wanted:
            said = issue.MISMATCH_DEFAULT.issue(where, **names, version=have)
            trail.say(said.softened("error") if provider.head.version_needed else said)
        elif wanted != part.version:
            trail.say(issue.MISMATCH_CHANGED.issue(where, **names, version=wanted, stated=part.version))
        else:
            trail.say(issue.MISMATCH.issue(where, **names, version=part.version))
        if not any(versions.matches(given, one, algorithm) for one in known):
            await self._systems.unknown(system, given, code.path, trail)
        return wanted


def _apart(value_set: Definition) -> bool:
    """Return whether a value set says that concepts of two versions of a code system are never the same."""
    return value_set.parameters.get("versionsMatch") == ("false",)


def unknown_code(provider: CodeSystemProvider, code: Code) -> tuple[TxIssue, ...]:
    """Return what is said of a code that a code system does not have, and why where more is known."""
    head, where = provider.head, at(code.path, "code")
    names = {"code": code.code, "system": head.url, "version": head.version}
    if head.content != "complete":
        return (issue.UNKNOWN_CODE_IN_FRAGMENT.issue(where, **names),)
    message = issue.UNKNOWN_CODE if head.version else issue.UNKNOWN_CODE_NO_VERSION
    reason = provider.reason(code.code)
    because = (issue.REASON_OF_CODE.issue(where, code=code.code, reason=reason),) if reason else ()
    return (message.issue(where, **names), *because)
