"""What a token reaches, as one expression for each resource type and letter (SMART App Launch 2.2, 3; product.md 2.2).

Scopes of one type are or-ed; within one, the compartment of its context and its own search criteria are and-ed; no match is
`Nothing`. A `patient/` scope reaches the record of the launch patient, and what stands in nobody's record but belongs to
reading one: who treated, where, with what medicine. A `user/` scope reaches what the person may see, a `system/` scope what
the client was registered for: the standing says what that is, by role, custody, agreement, relationship and label (docs/access.md).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.access.oversight import may_read_trail
from fhir_server.access.placed import DIRECTORY, SUPPLIES, placed
from fhir_server.access.principal import Principal, owner
from fhir_server.access.scope_filter import Key, Letter
from fhir_server.access.standing import FREE, Standing
from fhir_server.model.errors import FhirError
from fhir_server.model.query import NOTHING, Where
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import (
    Anything,
    Belongs,
    Criterion,
    Disclosed,
    Expression,
    Guarded,
    Nothing,
    Withdrawn,
    all_of,
    any_of,
)
from fhir_server.search.match import matches
from fhir_server.search.params import params
from fhir_server.search.parse import parse
from fhir_server.search.types.conditions import Is
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from smart_auth.scopes.advice import ADVICE
from smart_auth.scopes.grammar import ANY_TYPE, Context, ResourceScope

NEVER = frozenset({"Group"})
"""Types in the Patient compartment whose members would show one patient to another."""

SUBJECTS = ("patient", "subject", "beneficiary", "individual")
"""Parameters of the Patient compartment that say whom a resource is about. The others say who took part: a patient who has
observed, paid for or sent something about another one does not thereby get to see it."""

ABOUT = {"Appointment": "actor", "AppointmentResponse": "actor", "Device": "patient", "Task": "patient"}
"""Types that say otherwise whom they are about. R4 leaves Device and Task out of the Patient compartment."""

GUARDED = "Binary"
"""The type that is treated as what its `securityContext` names."""

TRAIL = "AuditEvent"
"""The type that only systems write, and nobody changes."""

GOVERNING = frozenset({"SearchParameter"})
"""Types that change how the server works for everybody; staff who work on records do not write them."""

GOVERNORS = frozenset({"administrator", "system"})
"""Audiences that do, and that start work on all of the record."""

REFERENCED = (
    DIRECTORY
    | SUPPLIES
    | {"CodeSystem", "ConceptMap", "DeviceDefinition", "Questionnaire", "StructureDefinition", "ValueSet"}
)
"""Types in nobody's record that records refer to: readable by a patient's token that names them; only the directory can be
searched, and only supplies created, by a scope that names the type itself."""

PERSONAL = frozenset({"Subscription"})
"""Types that belong to the client and person that created them: they act with those rights, and hold their secrets."""

UNBOUND = frozenset({("user", "staff"), ("user", "administrator"), ("system", "system")})
"""Contexts and audiences that no record binds."""

LAG = timedelta(seconds=1)

COMMON = frozenset({"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"})
"""Search parameters that every type has."""


class Granted:
    """Implements `ScopeFilter` for the holder of a token.

    Args:
        principal: The holder.
        definitions: FHIR definitions.
        search: How the criteria of scopes are read.
        standing: What the house has to say about the holder now.
        gates: Closed gates that are open to patients here (`search.gates`).
        disclosed: What a patient is disclosed; by default what is open to patients now.

    Attributes:
        made: When it was compiled; of patients, what they are disclosed at this moment.
    """

    __slots__ = (
        "_disclosed",
        "_found",
        "_past",
        "_search",
        "_shown",
        "_wheres",
        "definitions",
        "fingerprint",
        "made",
        "principal",
        "standing",
        "told",
    )

    def __init__(
        self,
        principal: Principal,
        definitions: Definitions,
        search: Search,
        standing: Standing = FREE,
        gates: frozenset[str] = frozenset(),
        *,
        disclosed: Expression | None = None,
    ) -> None:
        self.principal = principal
        self.made = datetime.now(UTC)
        open_to_all = principal.audience != "patient"
        self._disclosed = disclosed or (Anything() if open_to_all else Disclosed(self.made, gates))
        self.standing = standing
        self.fingerprint = _fingerprint(principal)
        self.told = frozenset(_told(principal))
        self.definitions = definitions
        self._search = search
        self._found: dict[tuple[str, Letter], Expression] = {}
        self._wheres: dict[tuple[str, Letter], Where] = {}
        self._shown: dict[str, Where] = {}
        self._past: Granted | None = None

    def is_current(self, now: datetime) -> bool:
        """Return whether it may still be relied upon; what time opens to a patient is open a second later at the latest."""
        return self.principal.audience != "patient" or now - self.made < LAG

    @property
    def facility(self) -> str:
        """The custodian of what is created."""
        return self.standing.facility or self.principal.facility

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return the restriction; `Nothing` where no scope speaks of the type."""
        key = resource_type, letter
        if key not in self._found:
            parts = self._parts(self._scopes(resource_type, letter), resource_type, letter)
            self._found[key] = any_of([*parts, *self._self(resource_type, letter)])
        return self._found[key]

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return the restriction as a filter; of one type and letter always the same object."""
        key = resource_type, letter
        if key not in self._wheres:
            self._wheres[key] = compiled(self.expression(*key), resource_type, self.definitions)
        return self._wheres[key]

    def shown(self, resource_type: str) -> Where:
        """Return the filter for what can be read or searched."""
        if resource_type not in self._shown:
            letters: tuple[Letter, ...] = ("r", "s")
            parts = dict.fromkeys(self.expression(resource_type, letter) for letter in letters)
            self._shown[resource_type] = compiled(any_of(parts), resource_type, self.definitions)
        return self._shown[resource_type]

    def withdrawn(self, resource_type: str) -> Where:
        """Return the filter for what a patient could see and the care team has withdrawn; of others it is `NOTHING`."""
        if self.principal.audience != "patient":
            return NOTHING
        if self._past is None:
            self._past = Granted(self.principal, self.definitions, self._search, self.standing, disclosed=Withdrawn())
        past = all_of([Withdrawn(), self._past.expression(resource_type, "r")])
        return compiled(past, resource_type, self.definitions)

    def has(self, resource_type: str, letter: Letter) -> bool:
        """Return whether anything of a type is reached."""
        return not isinstance(self.expression(resource_type, letter), Nothing)

    def discloses(self, document: Mapping[str, Any]) -> bool:
        """Return whether a stored document is there for patients to see now; to others everything is."""
        return matches(self._disclosed, document)

    def speaks_of(self, resource_type: str, letter: Letter) -> bool:
        """Return whether any scope gives this letter for this type: the difference between 403 and 404."""
        return bool(list(self._scopes(resource_type, letter)) or self._self(resource_type, letter))

    def wanted(self, resource_type: str, letter: Letter) -> str:
        """Return a scope that would give the letter for the type, empty where none does for this caller."""
        audience = self.principal.audience
        contexts: dict[str, tuple[Context, ...]] = {
            "patient": ("patient", "user"),
            "staff": ("patient", "user") if self._is_in("patient") else ("user",),
            "administrator": ("user",),
            "system": ("system",),
        }
        for context in contexts[audience]:
            scope = ResourceScope(context, resource_type, "rs" if letter in "rs" else letter)
            if resource_type == ANY_TYPE or not isinstance(self._reach(scope, resource_type, letter), Nothing):
                return scope.text
        return ""

    @property
    def governs(self) -> bool:
        """Whether the caller may change how the server works for everybody; a service that is registered for a part may not."""
        who = self.principal
        return who.audience == "administrator" or (
            who.audience in GOVERNORS and isinstance(self.standing.custody, Anything)
        )

    def covers(self, letter: Letter) -> bool:
        """Return whether a scope for all types, without criteria, gives the letter for everything there is."""
        return self.standing.is_free and any(
            (scope.context, self.principal.audience) in UNBOUND
            for scope in self.principal.scopes
            if letter in scope.letters and scope.resource_type == ANY_TYPE and not scope.criteria
        )

    def whole(self, letter: Letter) -> str:
        """Return a scope that would give the letter for everything; there is none for patients, and none to write for staff."""
        contexts: dict[str, Context] = {"administrator": "user", "system": "system"}
        if letter in "rs":
            contexts["staff"] = "user"
        context = contexts.get(self.principal.audience)
        return ResourceScope(context, ANY_TYPE, "rs" if letter in "rs" else letter).text if context else ""

    def has_duty(self, duty: str) -> bool:
        """Return whether the role has a duty; people without roles, where nobody has any, have all of them."""
        return self.standing.privileges.has_duty(duty)

    def _is_in(self, context: Context) -> bool:
        return any(scope.context == context for scope in self.principal.scopes)

    def _scopes(self, resource_type: str, letter: Letter) -> Iterable[ResourceScope]:
        for scope in self.principal.scopes:
            if letter in scope.letters and scope.resource_type in {ANY_TYPE, resource_type}:
                yield scope

    def _self(self, resource_type: str, letter: Letter) -> list[Expression]:
        """Return the resource that the person is, which the app may read to know who that is (SMART 3.0.4.1)."""
        kind, _, own_id = self.principal.fhir_user.partition("/")
        if letter != "r" or kind != resource_type:
            return []
        return [Criterion(params(kind, self.definitions)["_id"], (Is(own_id),))]

    def _parts(self, scopes: Iterable[ResourceScope], resource_type: str, letter: Letter) -> list[Expression]:
        """Return what the scopes reach, with the criteria of those together that reach equally far."""
        criteria: dict[Expression, list[Expression]] = {}
        for scope in scopes:
            found = criteria.setdefault(self._reach(scope, resource_type, letter), [])
            found.append(self._criteria(scope, resource_type))
        return [all_of([reach, any_of(found)]) for reach, found in criteria.items()]

    def _reach(self, scope: ResourceScope, resource_type: str, letter: Letter) -> Expression:
        """Return what a scope reaches apart from its criteria."""
        if self.principal.advisory and letter in "cud" and (letter != "c" or resource_type not in ADVICE):
            return Nothing()
        if resource_type == TRAIL and letter in "cud" and (letter != "c" or self.principal.audience != "system"):
            return Nothing()
        if resource_type in GOVERNING and letter in "cud" and not self.governs:
            return Nothing()
        who = self.principal
        if resource_type in PERSONAL:
            return self._personal(scope, letter)
        if resource_type == TRAIL and who.audience != "patient" and not may_read_trail(who, self.standing):
            return Nothing()
        if scope.context == "patient":
            record = self._records(frozenset({who.patient} - {""}), scope, resource_type, letter)
            return (
                self._open(record)
                if who.audience == "patient"
                else all_of([record, self._placed(resource_type, letter)])
            )
        if (scope.context, who.audience) == ("user", "patient"):
            return self._open(self._records(who.own, scope, resource_type, letter))
        if (scope.context, who.audience) not in UNBOUND:
            return Nothing()
        if who.audience == "administrator":
            return Anything() if resource_type == TRAIL or self._is_administrative(resource_type) else Nothing()
        return self._placed(resource_type, letter)

    def _personal(self, scope: ResourceScope, letter: Letter) -> Expression:
        """Return what a scope reaches of what belongs to somebody; administrators see it, and can end it."""
        held = scope.context, self.principal.audience
        if held == ("user", "administrator") and letter in "rsd":
            return Anything()
        if scope.context == "patient" or held == ("user", "patient") or held in UNBOUND:
            return Belongs(owner(self.principal))
        return Nothing()

    def _open(self, record: Expression) -> Expression:
        """Return the part of a record that patients are shown now; what is in nobody's record is not kept from them."""
        return record if isinstance(record, Anything) else all_of([record, self._disclosed])

    def _placed(self, resource_type: str, letter: Letter) -> Expression:
        """Return what the standing reaches, whatever the scopes."""
        if resource_type == GUARDED and self.covers(letter):
            return Anything()
        return placed(self.standing, resource_type, letter, self.definitions)

    def _is_administrative(self, resource_type: str) -> bool:
        """Return whether a type is of the house and not of anybody's record: the directory, and what a publisher publishes."""
        known = params(resource_type, self.definitions)
        return resource_type in DIRECTORY | {"OrganizationAffiliation"} or {"url", "publisher"} <= known.keys()

    def _records(
        self, patients: frozenset[str], scope: ResourceScope, resource_type: str, letter: Letter
    ) -> Expression:
        """Return the part of a type that belongs to the records of patients, and of those who are the same persons."""
        if not patients or resource_type in NEVER:
            return Nothing()
        if resource_type in REFERENCED:
            searched = letter == "s" and resource_type in DIRECTORY
            supplied = letter == "c" and resource_type in SUPPLIES and scope.resource_type != ANY_TYPE
            return Anything() if letter == "r" or searched or supplied else Nothing()
        if resource_type == GUARDED:
            return Nothing() if letter == "s" else Guarded()
        known = params(resource_type, self.definitions)
        own = sorted(self.standing.same(patients))
        if resource_type == "Patient":
            # Not by the compartment: it holds the records that are linked to this one, too.
            return Criterion(known["_id"], tuple(Is(patient) for patient in own))
        members = self.definitions.compartments["Patient"].members.get(resource_type, ())
        code = ABOUT.get(resource_type) or next((code for code in SUBJECTS if code in members), "")
        return Criterion(known[code], tuple(Is(f"Patient/{patient}") for patient in own)) if code else Nothing()

    def _criteria(self, scope: ResourceScope, resource_type: str) -> Expression:
        """Return the criteria of a scope; what cannot be read reaches nothing, never everything."""
        known = params(resource_type, self.definitions)
        if any(name not in known for name, _ in scope.criteria):
            return Nothing()
        try:
            return parse(resource_type, scope.criteria, self.definitions, self._search, strict=True).expression
        except FhirError:
            return Nothing()


def _fingerprint(who: Principal) -> str:
    parts = [who.audience, who.client_id, who.user_id, who.grant_id, who.patient, who.fhir_user]
    return "\n".join([*parts, *(scope.text for scope in who.scopes)])


def _told(who: Principal) -> Iterator[Key]:
    """Yield what a launch tells: the patients, and who the person is."""
    for patient in {who.patient, *who.own} - {""}:
        yield "Patient", patient
    kind, _, own_id = who.fhir_user.partition("/")
    if own_id:
        yield kind, own_id


class Check:
    """Says why a criterion of a scope cannot be enforced, empty where it can (`smart_auth.scopes.grammar.Checker`).

    Args:
        definitions: FHIR definitions.
        search: How criteria are read.
    """

    def __init__(self, definitions: Definitions, search: Search) -> None:
        self.definitions = definitions
        self._search = search

    def __call__(self, resource_type: str, name: str, value: str) -> str:
        """Return the reason, or empty."""
        if resource_type == ANY_TYPE:
            if name not in COMMON:
                return f"not every type has the search parameter '{name}'; name the type"
            resource_type = "Patient"
        if name not in params(resource_type, self.definitions):
            return f"{resource_type} has no search parameter '{name}'"
        try:
            found = parse(resource_type, ((name, value),), self.definitions, self._search, strict=True)
        except FhirError as error:
            return str(error)
        return "" if not isinstance(found.expression, Anything | Nothing) else f"'{name}' says nothing here"
