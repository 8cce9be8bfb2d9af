"""What scopes say to the person who is to agree: plain words, and the same facts as rows of choices.

The tables are the vocabulary of the consent page; a type that is not in them is named by its own words, so a new type is
never hidden.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from smart_auth.language import Language
from smart_auth.scopes.choices import CATEGORIES, READING, WRITING
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
        "patient": "in this one record",
        "user": "in every record that you can open",
        "system": "in every record",
    }
)

PLAIN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "openid": ("Know that it is you", "The app learns a number that stands for you."),
        "fhirUser": ("Know who you are in the record", "The app learns which entry of the record is you."),
        "profile": ("Know your name", "The app learns your name."),
        "offline_access": (
            "Keep access until you take it back",
            "The app can come back without you, until you end that under “Connected apps”.",
        ),
        "online_access": ("Keep access while you are signed in", "Access ends when you sign out here."),
    }
)
"""Title and explanation of scopes that are one word. Others of them need no agreement: they only shape the launch."""

VERBS: Mapping[str, str] = MappingProxyType({"r": "open", "s": "search", "c": "add", "u": "change", "d": "delete"})

FUTURE = "That includes what is recorded in the future, and kinds of data that do not exist yet."

_TITLES = {one.value: one.title for kind in CATEGORIES.values() for one in kind}
_PIECES = re.compile(r"[A-Z][a-z]*")
_IN_ENGLISH = Language()


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


def lines(scopes: Scopes, language: Language = _IN_ENGLISH) -> tuple[Line, ...]:
    """Return what scopes let an app do, reading first, then changing, then what concerns the person and the time."""
    read, write = [], []
    for one in concise(scopes.resources):
        if reading := "".join(letter for letter in one.letters if letter in READING):
            read.append(_line(replace(one, letters=reading), language))
        if writing := "".join(letter for letter in one.letters if letter in WRITING):
            write.append(_line(replace(one, letters=writing), language))
    return (*read, *write, *plain(scopes, language))


def plain(scopes: Scopes, language: Language = _IN_ENGLISH) -> tuple[Line, ...]:
    """Return what the scopes that are one word let an app do."""
    return tuple(
        Line(language.say(title), language.say(detail), word)
        for word, (title, detail) in PLAIN.items()
        if word in scopes.words
    )


def noun(resource_type: str, language: Language = _IN_ENGLISH) -> str:
    """Return what people call a resource type."""
    if resource_type == ANY_TYPE:
        return language.say("everything in the record")
    return language.say(NOUNS.get(resource_type) or " ".join(_PIECES.findall(resource_type)).lower())


def verbs(letters: str, language: Language = _IN_ENGLISH) -> str:
    """Return what letters of a scope allow, in one enumeration."""
    return language.all_of(language.say(word) for letter, word in VERBS.items() if letter in letters)


def part(scope: ResourceScope, language: Language = _IN_ENGLISH) -> str:
    """Return which part of a type a scope reaches, in words; empty for all of it."""
    return ", ".join(
        language.say(_TITLES[value]) if value in _TITLES else f"{name} {_value(value)}"
        for name, value in scope.criteria
    )


def _line(scope: ResourceScope, language: Language) -> Line:
    writes, everything = scope.letters[0] in WRITING, scope.resource_type == ANY_TYPE
    things = noun(scope.resource_type, language)
    if scope.criteria:
        things += f" ({part(scope, language)})"
    doing, whose = verbs(scope.letters, language), language.say(WHOSE[scope.context])
    detail = language.say("The app can {verbs} {things} {whose}.", verbs=doing, things=things, whose=whose)
    if everything and not writes:
        detail = f"{detail} {language.say(FUTURE)}"
    title = language.say("{verbs} {things}", verbs=doing if writes else language.say("see"), things=things)
    return Line(
        title[:1].upper() + title[1:],
        detail,
        scope.text,
        scope.resource_type,
        writes=writes,
        everything=everything,
    )


def _value(value: str) -> str:
    """Return the code of a token without its system, in words."""
    code = value.rpartition("|")[2]
    return code.replace("-", " ")
