"""Validation of codes: is this code, Coding or CodeableConcept in a value set, and is what stands beside it right ($validate-code)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from terminology import issue, versions
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.issue import TxError, TxIssue, TxRefusal, joined, outcome
from terminology.valueset import status
from terminology.valueset.definition import Definition, Json, definition
from terminology.valueset.member import Code, Found, Membership, Trail, unknown_code
from terminology.valueset.systems import Options, Systems, at

CODE, CODING, CONCEPT = "", "Coding", "CodeableConcept"
"""What is asked about, by where its issues are."""

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")

SPOKEN = frozenset(
    message.id
    for message in (
        issue.INACTIVE,
        issue.DEPRECATED,
        issue.NO_SYSTEM,
        issue.NO_SYSTEM_OR_CODE,
        issue.WRONG_DISPLAY,
        issue.WRONG_WHITESPACE,
        issue.NO_DISPLAY_OF_LANGUAGE,
        issue.DEFAULT_DISPLAY_ONLY,
        issue.NO_DISPLAY_AT_ALL,
        issue.NOT_CHECKED,
    )
)
"""Messages that are part of the answer's message even where they refuse nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a code.

    Attributes:
        result: Whether it is valid.
        code: The code, as it was given.
        system: URI of its code system, stated or found out.
        version: Of the code system that the answer comes from.
        display: Words to show for it, in the languages asked for.
        inactive: Whether it is not to be used any more.
        status: As the code system words it, or empty.
        normalized: The code as the code system spells it, where that is another spelling.
        issues: What was found.
        unknown: Canonicals of code systems that are not here.
        member: Whether it is in the value set; `None` where that cannot be told.
        concept: The CodeableConcept that was asked about.
    """

    result: bool
    code: str = ""
    system: str = ""
    version: str = ""
    display: str = ""
    inactive: bool = False
    status: str = ""
    normalized: str = ""
    issues: tuple[TxIssue, ...] = ()
    unknown: tuple[str, ...] = ()
    member: bool | None = None
    concept: Json | None = None

    @property
    def message(self) -> str:
        """What people should read of it."""
        return joined(
            one.text for one in self.issues if one.fails or one.message_id in SPOKEN or one.kind == issue.NO_CODE.kind
        )

    @property
    def parameters(self) -> Json:
        """It as the Parameters that $validate-code returns (R5 names beyond those of R4)."""
        unknown = "x-unknown-system" if self.member is False else "x-caused-by-unknown-system"
        rows: list[tuple[str, str, object]] = [
            ("result", "valueBoolean", self.result),
            ("code", "valueCode", self.code),
            ("system", "valueUri", self.system),
            ("version", "valueString", self.version),
            ("display", "valueString", self.display),
            ("normalized-code", "valueCode", self.normalized),
            ("inactive", "valueBoolean", self.inactive),
            ("status", "valueCode", self.status if self.status != "inactive" else ""),
            ("codeableConcept", "valueCodeableConcept", self.concept),
            *((unknown, "valueCanonical", one) for one in (() if self.result else self.unknown)),
            ("message", "valueString", self.message),
            ("issues", "resource", outcome(self.issues) if self.issues else None),
        ]
        found = [{"name": name, key: value} for name, key, value in rows if value or name == "result"]
        return {"resourceType": "Parameters", "parameter": found}


@dataclass(slots=True)
class _Seen:
    """What was found out about one coding."""

    code: Code
    member: bool | None
    trail: Trail
    display: str = ""
    version: str = ""
    inactive: bool = False
    status: str = ""


@dataclass(slots=True)
class _State:
    """What was found out about all codings."""

    issues: dict[TxIssue, None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    member: bool | None = None


class Validation:
    """Validates codes for one request.

    Args:
        catalogue: Where code systems and value sets are.
        options: What the request asks for.
    """

    def __init__(self, catalogue: Catalogue, options: Options) -> None:
        self._catalogue, self._options = catalogue, options

    async def in_value_set(self, resource: Json, codes: Sequence[Code], concept: Json | None = None) -> Answer:
        """Return whether a code is in a value set.

        Args:
            resource: The ValueSet.
            codes: One code, or the codings of a CodeableConcept.
            concept: The CodeableConcept, where one is asked about.

        Raises:
            TxRefusal: The value set is not as it should be, or what the request asks for does not go together.
        """
        value_set = definition(resource)
        options = self._options.within(value_set)
        systems = Systems(self._catalogue, options)
        run = _Run(systems, options, value_set, concept)
        try:
            await systems.require(value_set)
            await run.membership.prepare(value_set)
            return await run.answer(codes)
        except TxRefusal:
            raise
        except TxError as error:
            return await self._failed(error, codes, concept)

    async def in_code_system(self, provider: CodeSystemProvider, codes: Sequence[Code], concept: Json | None) -> Answer:
        """Return whether a code is in a code system.

        Raises:
            TxRefusal: What the request asks for does not go together.
        """
        head = provider.head
        include = {"system": head.url, "version": head.version} if head.version else {"system": head.url}
        url = head.value_set or f"{head.url}/vs"
        value_set = definition(
            {"resourceType": "ValueSet", "url": url, "version": head.version, "compose": {"include": [include]}}
        )
        systems = Systems(self._catalogue, self._options)
        await systems.require(value_set)
        return await _Run(systems, self._options, value_set, concept, quiet=True).answer(codes)

    async def refused(self, error: TxError, codes: Sequence[Code], concept: Json | None = None) -> Answer:
        """Return the answer where a code cannot be looked for."""
        return await self._failed(error, codes, concept)

    async def _failed(self, error: TxError, codes: Sequence[Code], concept: Json | None) -> Answer:
        unknown = (error.unknown,) if error.unknown else ()
        if concept is not None:
            return Answer(result=False, issues=error.issues, unknown=unknown, concept=concept)
        code = codes[0]
        provider = await Systems(self._catalogue, self._options).find(code.system, code.version)
        version = provider.head.version if provider else ""
        return Answer(False, code.code, code.system, code.version or version, issues=error.issues, unknown=unknown)


class _Run:
    """One question."""

    def __init__(
        self, systems: Systems, options: Options, value_set: Definition, concept: Json | None, *, quiet: bool = False
    ) -> None:
        self._systems, self._options = systems, options
        self._value_set, self._concept, self._quiet = value_set, concept, quiet
        self.membership = Membership(systems, options)

    async def answer(self, codes: Sequence[Code]) -> Answer:
        """Return the answer for one code, or for the codings of a CodeableConcept."""
        state = _State()
        if not self._quiet:
            state.issues.update(dict.fromkeys(status.of_value_set(self._value_set, self._value_set)))
        seen = [await self._look_at(code, state) for code in codes]
        members = [one for one in seen if one.member]
        member: bool | None = bool(members)
        if not members and any(one.member is None for one in seen):
            member = None
        if members and self._concept is not None:
            self._soften(seen, state)
        told = members[0] if members else (seen[0] if seen and self._concept is None else None)
        if member is False:
            self._refuse(seen, state)
        inactive = next((one for one in seen if one.inactive), None)
        if inactive is not None:
            self._discourage(inactive, state)
        elif told is not None and told.status.lower() == "deprecated":
            said = issue.DEPRECATED.issue(told.code.path or "code", code=told.code.code, status=told.status)
            state.issues[said] = None
        state.member = member
        return self._made(told, state)

    def _made(self, told: _Seen | None, state: _State) -> Answer:
        member = state.member
        result = bool(member) and not any(one.fails for one in state.issues)
        found = (tuple(state.issues), tuple(state.unknown))
        if told is None:
            return Answer(result, issues=found[0], unknown=found[1], member=member, concept=self._concept)
        normal = told.trail.found.concept.code if told.trail.found else told.code.code
        worth_telling = told.inactive or told.status.lower() == "deprecated"
        return Answer(
            result,
            told.code.code,
            told.code.system,
            told.version,
            told.display,
            inactive=told.inactive,
            status=told.status if worth_telling else "",
            normalized=normal if normal != told.code.code else "",
            issues=found[0],
            unknown=found[1],
            member=member,
            concept=self._concept,
        )

    async def _look_at(self, given: Code, state: _State) -> _Seen:
        """Return what is found out about one coding."""
        trail = Trail()
        code, member = await self._membership(given, trail)
        seen = _Seen(code, member, trail, version=trail.version or code.version)
        if member is False and code.code and self._concept is not None and not self._quiet:
            names = {"codes": str(code), "value_set": self._value_set.canonical}
            trail.say(issue.THIS_NOT_IN_VALUE_SET.issue(at(code.path, "code"), **names))
        if member and trail.found:
            self._describe(seen, trail.found)
            seen.version = trail.found.provider.head.version
        elif not member and code.system and code.code and not self._options.membership_only:
            await self._outside(seen)
        if trail.refused is not None:
            seen.inactive, seen.status = True, trail.refused.status
        state.issues |= trail.issues
        state.unknown |= trail.unknown
        return seen

    async def _membership(self, code: Code, trail: Trail) -> tuple[Code, bool | None]:
        if not code.code:
            missing = issue.NO_CODE_OF_SYSTEM if code.system else issue.NO_SYSTEM_OR_CODE
            message = issue.NO_CODE if self._options.infer and not code.system else missing
            trail.say(message.issue(code.path, system=code.system))
            return code, False
        if code.system:
            return code, await self.membership.holds(self._value_set, code, trail)
        if not self._options.infer:
            trail.say(issue.NO_SYSTEM.issue(code.path))
            return code, False
        systems = await self.membership.infer(self._value_set, code.code)
        if len(systems) == 1:
            meant = Code(systems[0], code.code, code.version, code.display, code.path)
            return meant, await self.membership.holds(self._value_set, meant, trail)
        names = {"code": code.code, "value_set": self._value_set.canonical}
        message = issue.AMBIGUOUS_SYSTEM if systems else issue.CANNOT_INFER
        trail.say(message.issue("code", **names, systems=",".join(systems)))
        return code, False

    def _describe(self, seen: _Seen, found: Found) -> None:
        """Take over what a concept says of itself, and check the display that was given."""
        displays, code = found.displays, seen.code
        languages = self._options.languages
        seen.display = displays.preferred(languages)
        seen.inactive, seen.status = found.concept.inactive, found.concept.status
        if code.display:
            wrong = displays.check(code.display, languages, code.code, code.system, at(code.path, "display"))
            if wrong is not None:
                seen.trail.say(wrong.softened("warning") if wrong.fails and self._options.lenient else wrong)

    async def _outside(self, seen: _Seen) -> None:
        """Say what a code is that is not in the value set."""
        code, trail = seen.code, seen.trail
        where = at(code.path, "system")
        if not ABSOLUTE.fullmatch(code.system):
            trail.say(issue.RELATIVE_SYSTEM.issue(where))
        provider = await self._provider(code)
        if provider is not None:
            self._systems.checked(provider, code.path, trail)
            trail.say(*status.of_code_system(provider.head, self._value_set))
            seen.version = provider.head.version
            concept = await provider.find(code.code)
            if concept is None:
                trail.say(*unknown_code(provider, code))
            else:
                self._describe(seen, Found(provider, concept))
            return
        await self._systems.absent(code.system, code.version, code.path, trail)

    async def _provider(self, code: Code) -> CodeSystemProvider | None:
        """Return the code system to look at: the version given, else the newest that the value set states, else the newest."""
        if code.version:
            return await self._systems.find(code.system, code.version)
        for version in reversed(versions.ordered(self._value_set.versions(code.system))):
            found = await self._systems.find(code.system, version)
            if found is not None:
                return found
        return await self._systems.find(code.system)

    def _refuse(self, seen: Sequence[_Seen], state: _State) -> None:
        """Say that no coding is in the value set; of a code system the codes themselves have said it."""
        fails = any(one.fails for one in state.issues)
        nothing_given = all(not one.code.code for one in seen)
        if self._quiet and (fails or nothing_given):
            return
        value_set = self._value_set.canonical
        if self._concept is not None:
            state.issues[issue.NO_CODING_IN_VALUE_SET.issue(value_set=value_set)] = None
        elif not nothing_given:
            codes = ", ".join(str(one.code) for one in seen)
            where = at(seen[0].code.path, "code")
            state.issues[issue.NOT_IN_VALUE_SET.issue(where, codes=codes, value_set=value_set)] = None

    @staticmethod
    def _discourage(seen: _Seen, state: _State) -> None:
        words = seen.status if seen.status and seen.status != "inactive" else ""
        said = f"{words} and inactive" if words else "inactive"
        state.issues[issue.INACTIVE.issue(seen.code.path or "code", code=seen.code.code, status=said)] = None

    @staticmethod
    def _soften(seen: Sequence[_Seen], state: _State) -> None:
        """Let a coding of a code system that is not here not refuse a CodeableConcept that another coding makes valid."""
        for one in seen:
            if one.member or not one.trail.unknown:
                continue
            for said in one.trail.issues:
                if said.fails and said.kind == "not-found" and said.path == at(one.code.path, "system"):
                    state.issues.pop(said, None)
                    version = f"|{one.code.version}" if one.code.version else ""
                    name = f"{one.code.system}{version}"
                    state.issues[issue.NOT_CHECKED.issue(said.path, system=name)] = None
