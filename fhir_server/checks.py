"""`Checks`: what is found wrong with a resource on demand, by the base definitions and by profiles (docs/validation.md)."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.own.package import package
from profiles.packages.library import Library
from profiles.snapshot.generate import Snapshot
from profiles.snapshot.near import near
from profiles.snapshot.source import Source
from profiles.validate.profile.asking import Asking
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.questionnaire.validator import QuestionnaireValidator
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]
T = TypeVar("T")

MOST_HINTS = 1_000
"""Canonicals of which it is kept what may have been meant by them: looking takes some ten milliseconds."""


SHAPELESS = frozenset({"structure", "invalid"})
"""Codes of errors that say that a resource has not the shape of its type: then profiles have nothing to look at."""

TYPES = "http://hl7.org/fhir/StructureDefinition/"

UNKNOWN = frozenset({"profile-unknown", "extension-unknown", "modifier-unknown"})

UNLOOKED = Issue(
    "information",
    "informational",
    "Profiles have not been looked at, because the structure is wrong. Correct that first, and ask again.",
    message_id="profiles-unlooked",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the answers in a resource are held against, fetched before they are checked.

    Attributes:
        questionnaires: By canonical as the responses have it.
        value_sets: That the questions take their options from, by canonical.
    """

    questionnaires: Mapping[str, Json] = field(default_factory=dict)
    value_sets: Mapping[str, Json] = field(default_factory=dict)


NOTHING_ASKED = Asked()

ROUNDS = 3
"""How often a resource is checked again with answers of the vocabulary: an answer may lead to another question, where a slice
turns out to be meant."""


class Terms(Protocol):
    """Who answers what checks leave open about codes."""

    def seen_by(self, caller: Any) -> "Terms":
        """Return the answers that a caller (a repository) may be given."""
        ...

    async def answer(self, asking: Asking) -> None:
        """Answer what is open."""
        ...


async def answered(check: Callable[[], T], asking: Asking, terms: Terms) -> T:
    """Return what a check finds when it has the answers to what it asks; where it asks nothing, that is its first result.

    Args:
        check: The check, which asks `asking`.
        asking: Its questions.
        terms: Who answers them.

    Raises:
        Unavailable: The database cannot be reached.
    """
    found = check()
    for _ in range(ROUNDS):
        if not asking.is_open:
            break
        await terms.answer(asking)
        asking.again()
        found = check()
    return found


class Checks:
    """The checks that can be asked for. One instance serves a process.

    Args:
        definitions: FHIR definitions.
        engine: Compiles FHIRPath, for all who need it in this process; one of its own where none is given.

    Attributes:
        engine: Compiles FHIRPath.
        validator: The check by the base definitions, which every write passes too.
        library: The packages of implementation guides that it goes by, and that of this server.
    """

    def __init__(self, definitions: Definitions, engine: Engine | None = None) -> None:
        self.engine = engine or Engine(definitions, units=Ucum.load())
        self.validator = Validator(definitions, self.engine)
        self._definitions = definitions
        self.adopt(Library())

    def adopt(self, library: Library, structures: Sequence[Json] = ()) -> None:
        """Go by these packages from now on, and by StructureDefinitions before all others of their URLs.

        What they say is worked out when it is first asked for.
        """
        # What this server writes itself can be told, whatever is installed.
        self.library = Library([*library.packages.values(), package()])
        self._hints: dict[str, str] = {}
        self._source = Source(self._definitions, self.library, structures)
        self._profiles = ProfileValidator(self._source, engine=self.engine, must_support=True)
        self._others: dict[tuple[bool, bool], ProfileValidator] = {}
        self._questionnaires = QuestionnaireValidator(self._profiles.codes, self.engine)

    def knowing(self, structures: Sequence[Json]) -> "Checks":
        """Return checks that know these StructureDefinitions besides."""
        if not structures:
            return self
        found = copy(self)
        found.adopt(self.library, structures)
        return found

    def knows(self, profile: str) -> bool:
        """Return whether a profile is at hand."""
        return self.structure(profile) is not None

    def structure(self, canonical: str) -> Json | None:
        """Return a StructureDefinition that is at hand, which nobody changes, or `None`."""
        origin = self._profiles.snapshots.source.find(canonical)
        return origin.structure if origin else None

    def type_of(self, profile: str) -> str:
        """Return the type that a profile constrains, empty where it is not at hand."""
        return str((self.structure(profile) or {}).get("type", ""))

    def hint(self, canonical: str) -> str:
        """Return ` Did you mean '…'?` for the profile at hand that is nearest to one that is not, else nothing."""
        if canonical not in self._hints:
            if len(self._hints) >= MOST_HINTS:
                self._hints.clear()
            found = near(self._profiles.snapshots.source, canonical)
            self._hints[canonical] = f" Did you mean '{found}'?" if found else ""
        return self._hints[canonical]

    def base(self, resource: Json, resource_type: str) -> list[Issue]:
        """Return what the base definitions find wrong: what every write is checked for."""
        return self.validator.check(resource, resource_type)

    def snapshot(self, structure: Json) -> Snapshot:
        """Return the snapshot of a StructureDefinition, made from its differential, with what is wrong with it."""
        return self._profiles.snapshots.make(structure)

    def packaged(self, structure: Json) -> Snapshot | None:
        """Return the snapshot of a StructureDefinition of a package: what it names means what its package means by it.

        `None` for one that is in no package, or says something else there.
        """
        origin = self._profiles.snapshots.source.find(f"{structure.get('url')}|{structure.get('version')}")
        if origin is None or origin.package is None:
            return None
        same = all(origin.structure.get(name) == structure.get(name) for name in ("baseDefinition", "differential"))
        return self._profiles.snapshots.of(origin) if same else None

    def conformity(self, resource: Json, profiles: Sequence[str], asking: Asking | None = None) -> list[Issue]:
        """Return the errors and warnings of what profiles find wrong with a resource that the base definitions let pass.

        Args:
            resource: Decoded JSON.
            profiles: Canonicals of profiles that it is to conform to, beside those that its meta.profile names.
            asking: Who is asked about codes that are not known here.
        """
        found = self._profiles.check(resource, profiles, must_support=False, asking=asking)
        return [one for one in found if one.severity != "information"]

    def questionnaire(self, canonical: str) -> Json | None:
        """Return a Questionnaire of the packages, `None` where there is none."""
        found = self.library.find(canonical, resource_type="Questionnaire")
        return found.entry.read() if found is not None else None

    def answers(self, resource: Json, asked: Asked) -> list[Issue]:
        """Return what is wrong with the questions and answers in a resource that the base definitions let pass: errors first."""
        return self._questionnaires.check(
            resource, lambda one: asked.questionnaires.get(one) or self.questionnaire(one), asked.value_sets
        )

    def findings(
        self,
        resource: Json,
        resource_type: str,
        profiles: Sequence[str] = (),
        asked: Asked = NOTHING_ASKED,
        resolve: Callable[[str], Json | None] | None = None,
        *,
        strict: bool = False,
        of_types: bool = False,
        asking: Asking | None = None,
    ) -> list[Issue]:
        """Return what is wrong: errors before warnings and information, each in the order of the document.

        Args:
            resource: Decoded JSON.
            resource_type: Type that it is to be of.
            profiles: Canonicals of profiles that it is to conform to, beside those that its meta.profile names.
            asked: What the answers in it are held against.
            resolve: Finds the resource of a reference that is neither contained nor an entry, `None` where there is none.
            strict: Whether what R4 leaves open is an error (`ProfileValidator`).
            of_types: Whether extensible bindings of R4's own types are looked at, which warn.
            asking: Who is asked about codes that are not known here.
        """
        found = self.validator.check(resource, resource_type, strict=True)
        if not any(one.fails and one.code in SHAPELESS for one in found):
            profiled = self._by(strict=strict, of_types=of_types)
            asked_for = (*profiles, f"{TYPES}{resource_type}") if of_types else profiles
            found += profiled.check(resource, asked_for, resolve=resolve, asking=asking)
            found += self.answers(resource, asked)
        elif profiles or claimed(resource):
            found.append(UNLOOKED)
        found = [self._hinted(one) for one in dict.fromkeys(found)]
        return [one for one in found if one.fails] + [one for one in found if not one.fails]

    def _by(self, *, strict: bool, of_types: bool) -> ProfileValidator:
        """Return who checks so, made when it is first asked for."""
        if not strict and not of_types:
            return self._profiles
        known = self._others.get((strict, of_types))
        if known is None:
            manner = {"strict": strict, "of_types": of_types}
            known = ProfileValidator(self._source, engine=self.engine, must_support=True, **manner)
            self._others[strict, of_types] = known
        return known

    def _hinted(self, issue: Issue) -> Issue:
        """Return a finding that something is not known with what may have been meant by it."""
        if issue.message_id not in UNKNOWN or not issue.profile or not (hint := self.hint(issue.profile)):
            return issue
        return replace(issue, text=f"{issue.text}{hint}")


def claimed(resource: Json) -> list[str]:
    """Return the profiles that a resource claims in meta.profile, as far as they are texts."""
    meta = resource.get("meta")
    rows = meta.get("profile") if isinstance(meta, dict) else None
    return [one for one in rows if isinstance(one, str)] if isinstance(rows, list) else []
