"""What scopes say to the person who is to agree: plain words, and the same facts as rows of choices.

The tables are the vocabulary of the consent page; a type that is not in them is named by its own words, so a new type is
never hidden.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from smart_auth.scopes.coverage import concise
from smart_auth.scopes.grammar import ANY_TYPE, ResourceScope, Scopes

NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "AllergyIntolerance": "allergies and intolerances",
        "Appointment": "appointments",
        "CarePlan": "care plans",
        "CareTeam": "care teams",
        "Communication": "messages",
        "Condition": "problems and diagnoses",
        "Consent": "consents",
        "Coverage": "insurance",
        "Device": "implants and devices",
        "DiagnosticReport": "test reports",
        "DocumentReference": "notes and documents",
        "Encounter": "visits and stays",
        "FamilyMemberHistory": "family history",
        "Goal": "goals",
        "Immunization": "vaccinations",
        "Invoice": "invoices",
        "Medication": "medicines",
        "MedicationAdministration": "medicines given",
        "MedicationDispense": "medicines handed out",
        "MedicationRequest": "prescriptions",
        "MedicationStatement": "medicines taken",
        "Observation": "test results and measurements",
        "Patient": "name, birth date, address and contact details",
        "Practitioner": "care professionals",
        "PractitionerRole": "what care professionals do, and where",
        "Procedure": "operations and procedures",
        "Provenance": "who recorded what",
        "QuestionnaireResponse": "answered questionnaires",
        "RelatedPerson": "family members and carers",
        "ServiceRequest": "orders and referrals",
        "Specimen": "samples",
    }
)
"""Resource types in the words of people who are not in the trade."""

WHOSE: Mapping[str, str] = MappingProxyType(
    {
        "patient": "of the patient in this launch",
        "user": "of everybody whose record you can see",
        "system": "of everybody",
    }
)

PLAIN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "openid": ("Know that it is you", "The app learns a number that stands for you."),
        "fhirUser": ("Know who you are in the record", "The app learns which entry of the record is you."),
        "profile": ("Know your name", "The app learns your name."),
        "offline_access": (
            "Keep access until you take it back",
            "The app can go on reading when you do not use it, until you end that under “Connected apps”.",
        ),
        "online_access": ("Keep access while you are signed in", "Access ends when you sign out here."),
    }
)
"""Title and explanation of scopes that are one word. Others of them need no agreement: they only shape the launch."""

_READ, _WRITE = frozenset("rs"), frozenset("cud")
_VERBS = (("c", "add"), ("u", "change"), ("d", "delete"))
_PIECES = re.compile(r"[A-Z][a-z]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the consent page.

    Attributes:
        title: A few words.
        detail: A sentence.
        scope: What it stands for, in v2 form or as a word.
        resource_type: Type, `*` for all, empty for words.
        writes: Whether it lets the app change something; such lines stand apart.
        everything: Whether it reaches types and data of the future too; such lines carry a warning.
    """

    title: str
    detail: str
    scope: str
    resource_type: str = ""
    writes: bool = False
    everything: bool = False


def lines(scopes: Scopes) -> tuple[Line, ...]:
    """Return what scopes let an app do, reading first, then changing, then what concerns the person and the time."""
    read, write = [], []
    for one in concise(scopes.resources):
        if reading := "".join(letter for letter in one.letters if letter in _READ):
            read.append(_reads(one, reading))
        if writing := "".join(letter for letter in one.letters if letter in _WRITE):
            write.append(_writes(one, writing))
    plain = [Line(*PLAIN[word], scope=word) for word in PLAIN if word in scopes.words]
    return (*read, *write, *plain)


def noun(resource_type: str) -> str:
    """Return what people call a resource type."""
    if resource_type == ANY_TYPE:
        return "everything in the record"
    return NOUNS.get(resource_type) or " ".join(_PIECES.findall(resource_type)).lower()


def _reads(scope: ResourceScope, letters: str) -> Line:
    everything = scope.resource_type == ANY_TYPE
    detail = f"The app can {_list(_abilities(letters))} {_things(scope)}."
    if everything:
        detail += " That includes what is recorded in the future, and kinds of data that do not exist yet."
    part = ResourceScope(scope.context, scope.resource_type, letters, scope.criteria)
    return Line(f"See {_things(scope, short=True)}", detail, part.text, scope.resource_type, everything=everything)


def _writes(scope: ResourceScope, letters: str) -> Line:
    verbs = _list([word for letter, word in _VERBS if letter in letters])
    detail = f"The app can {verbs} {_things(scope)}."
    part = ResourceScope(scope.context, scope.resource_type, letters, scope.criteria)
    title = f"{verbs.capitalize()} {_things(scope, short=True)}"
    return Line(title, detail, part.text, scope.resource_type, writes=True, everything=scope.resource_type == ANY_TYPE)


def _abilities(letters: str) -> Sequence[str]:
    return [word for letter, word in (("r", "open"), ("s", "search")) if letter in letters]


def _things(scope: ResourceScope, *, short: bool = False) -> str:
    things = noun(scope.resource_type)
    if scope.criteria:
        things += f" ({', '.join(f'{name} {_value(value)}' for name, value in scope.criteria)})"
    return things if short else f"{things} {WHOSE[scope.context]}"


def _value(value: str) -> str:
    """Return the code of a token without its system, in words."""
    code = value.rpartition("|")[2]
    return code.replace("-", " ")


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
