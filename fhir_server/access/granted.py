"""What the scopes of a token reach, as one expression for each resource type and letter (SMART App Launch 2.2, 3).

Scopes of one type are or-ed; within one, the compartment of its context and its own search criteria are and-ed; no match is
`Nothing`. A `patient/` scope reaches the record of the launch patient, and what stands in nobody's record but belongs to
reading one: who treated, where, with what medicine. A `user/` scope reaches what the person may see, a `system/` scope what
the client was registered for.
"""

from collections.abc import Iterable

from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import Letter
from fhir_server.model.errors import FhirError
from fhir_server.search.compartment import compartment
from fhir_server.search.expression import Anything, Criterion, Expression, Nothing, all_of, any_of
from fhir_server.search.params import params
from fhir_server.search.parse import parse
from fhir_server.search.types.conditions import Is
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from smart_auth.scopes.grammar import ANY_TYPE, ResourceScope

NEVER = frozenset({"Group"})
"""Types in the Patient compartment whose members would show one patient to another."""

ABOUT = {"Device": "patient", "Task": "patient"}
"""Types that the R4 Patient compartment leaves out although they are about a patient, each with the parameter that says so."""

DIRECTORY = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "Endpoint"})
REFERENCED = DIRECTORY | {
    "CodeSystem",
    "ConceptMap",
    "DeviceDefinition",
    "Medication",
    "Questionnaire",
    "StructureDefinition",
    "Substance",
    "ValueSet",
}
"""Types in nobody's record that records refer to: readable by a patient's token that names them; only the directory can be
searched."""

COMMON = frozenset({"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"})
"""Search parameters that every type has."""


class Granted:
    """Implements `ScopeFilter` for the holder of a token.

    Args:
        principal: The holder.
        definitions: FHIR definitions.
        search: How the criteria of scopes are read.
    """

    __slots__ = ("_definitions", "_found", "_search", "principal")

    def __init__(self, principal: Principal, definitions: Definitions, search: Search) -> None:
        self.principal = principal
        self._definitions = definitions
        self._search = search
        self._found: dict[tuple[str, Letter], Expression] = {}

    @property
    def fingerprint(self) -> str:
        """What tells this grant from every other."""
        who = self.principal
        parts = [who.audience, who.client_id, who.user_id, who.grant_id, who.patient, who.fhir_user]
        return "\n".join([*parts, *(scope.text for scope in who.scopes)])

    @property
    def facility(self) -> str:
        """The custodian of what is created."""
        return self.principal.facility

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return the restriction; `Nothing` where no scope speaks of the type."""
        key = resource_type, letter
        if key not in self._found:
            parts = [self._of(scope, resource_type, letter) for scope in self._scopes(resource_type, letter)]
            self._found[key] = any_of([*parts, *self._self(resource_type, letter)])
        return self._found[key]

    def speaks_of(self, resource_type: str, letter: Letter) -> bool:
        """Return whether any scope gives this letter for this type: the difference between 403 and 404."""
        return bool(list(self._scopes(resource_type, letter)) or self._self(resource_type, letter))

    def _scopes(self, resource_type: str, letter: Letter) -> Iterable[ResourceScope]:
        for scope in self.principal.scopes:
            if letter in scope.letters and scope.resource_type in {ANY_TYPE, resource_type}:
                yield scope

    def _self(self, resource_type: str, letter: Letter) -> list[Expression]:
        """Return the resource that the person is, which the app may read to know who that is (SMART 3.0.4.1)."""
        kind, _, own_id = self.principal.fhir_user.partition("/")
        if letter != "r" or kind != resource_type:
            return []
        return [Criterion(params(kind, self._definitions)["_id"], (Is(own_id),))]

    def _of(self, scope: ResourceScope, resource_type: str, letter: Letter) -> Expression:
        reach = {"patient": self._launched, "user": self._persons, "system": self._everything}[scope.context]
        return all_of([reach(resource_type, letter), self._criteria(scope, resource_type)])

    def _launched(self, resource_type: str, letter: Letter) -> Expression:
        return self._records([self.principal.patient] if self.principal.patient else [], resource_type, letter)

    def _persons(self, resource_type: str, letter: Letter) -> Expression:
        if self.principal.audience == "staff":
            return Anything()
        if self.principal.audience == "patient":
            return self._records(sorted(self.principal.own), resource_type, letter)
        return Nothing()

    def _everything(self, resource_type: str, letter: Letter) -> Expression:
        return Anything() if self.principal.audience == "system" else Nothing()

    def _records(self, patients: Iterable[str], resource_type: str, letter: Letter) -> Expression:
        """Return the part of a type that belongs to the records of patients."""
        if resource_type in NEVER:
            return Nothing()
        if resource_type in REFERENCED:
            readable = letter == "r" or (letter == "s" and resource_type in DIRECTORY)
            return Anything() if readable and patients else Nothing()
        return any_of(self._record(patient, resource_type) for patient in patients)

    def _record(self, patient: str, resource_type: str) -> Expression:
        if code := ABOUT.get(resource_type):
            return Criterion(params(resource_type, self._definitions)[code], (Is(f"Patient/{patient}"),))
        return compartment("Patient", patient, resource_type, self._definitions)

    def _criteria(self, scope: ResourceScope, resource_type: str) -> Expression:
        """Return the criteria of a scope; what cannot be read reaches nothing, never everything."""
        known = params(resource_type, self._definitions)
        if any(name not in known for name, _ in scope.criteria):
            return Nothing()
        try:
            return parse(resource_type, scope.criteria, self._definitions, self._search, strict=True).expression
        except FhirError:
            return Nothing()


class Check:
    """Says why a criterion of a scope cannot be enforced, empty where it can (`smart_auth.scopes.grammar.Checker`).

    Args:
        definitions: FHIR definitions.
        search: How criteria are read.
    """

    def __init__(self, definitions: Definitions, search: Search) -> None:
        self._definitions = definitions
        self._search = search

    def __call__(self, resource_type: str, name: str, value: str) -> str:
        """Return the reason, or empty."""
        if resource_type == ANY_TYPE:
            if name not in COMMON:
                return f"not every type has the search parameter '{name}'; name the type"
            resource_type = "Patient"
        if name not in params(resource_type, self._definitions):
            return f"{resource_type} has no search parameter '{name}'"
        try:
            found = parse(resource_type, ((name, value),), self._definitions, self._search, strict=True)
        except FhirError as error:
            return str(error)
        return "" if not isinstance(found.expression, Anything | Nothing) else f"'{name}' says nothing here"
