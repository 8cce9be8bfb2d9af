"""The consent page: what an app asks for, as rows of choices, and what a person has ticked there (smart.md 4.7)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.views import Visit
from smart_auth import exchange
from smart_auth.authorize import Open
from smart_auth.language import Language
from smart_auth.realm import Realm
from smart_auth.records import Client
from smart_auth.scopes.choices import READING, WRITING, Category, Choice, divisible, offered
from smart_auth.scopes.coverage import concise
from smart_auth.scopes.grammar import ANY_TYPE, Scopes
from smart_auth.scopes.words import NOUNS, noun, part, plain, verbs

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Person and contacts": (
            "Patient",
            "RelatedPerson",
            "Coverage",
            "Consent",
            "Communication",
            "Appointment",
            "Invoice",
        ),
        "Health and care": (
            "AllergyIntolerance",
            "Condition",
            "Procedure",
            "Immunization",
            "FamilyMemberHistory",
            "CarePlan",
            "CareTeam",
            "Goal",
            "Device",
            "QuestionnaireResponse",
        ),
        "Tests and documents": ("Observation", "DiagnosticReport", "DocumentReference", "Specimen", "ServiceRequest"),
        "Medicines": (
            "MedicationRequest",
            "MedicationStatement",
            "MedicationDispense",
            "MedicationAdministration",
            "Medication",
        ),
        "Visits and staff": ("Encounter", "Practitioner", "PractitionerRole", "Provenance"),
    }
)
"""The types that have a name in plain words, as they stand together on the page."""

FEW = 6
DAYS = MappingProxyType({30: "30 days", 365: "one year"})
HOUR, LONG = "hour", "long"


@dataclass(frozen=True, slots=True)
class Row:
    """A resource type on the page.

    Attributes:
        type: The type.
        title: What people call it.
        detail: Which part of it is asked for, or what may be done with it.
        categories: Parts that can be allowed by themselves.
    """

    type: str
    title: str
    detail: str = ""
    categories: tuple[Category, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under a heading.

    Attributes:
        title: The heading; empty where there are few rows.
        rows: The rows.
    """

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Section:
    """What an app wants to see, or to change.

    Attributes:
        groups: Types with a name in plain words.
        rest: The others, which come with `*`.
        doing: What may be done with all of them, where that is the same; the rows then do not say it.
    """

    groups: Sequence[Group]
    rest: Sequence[Row]
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Duration:
    """One answer to the question for how long.

    Attributes:
        value: What the form sends.
        title: A few words.
        detail: What that means.
    """

    value: str
    title: str
    detail: str


async def page(pages: Pages, visit: Visit, open_: Open) -> Response:
    """Return the page."""
    realm, language, client = visit.realm, visit.language, open_.client
    scopes = realm.scopes(open_.asked.scope)
    patient = open_.asked.context.patient
    title, born = patient, ""
    if patient and open_.user and open_.session:
        chart = await realm.directory.patient(open_.user, open_.session.acting_as, patient)
        title, born = (chart.title, chart.detail) if chart else (patient, "")
    logo = client.logo_uri if client.verified and client.logo_uri.startswith("https://") else ""
    shown = {
        "reads": _section(realm, scopes, READING, language),
        "writes": _section(realm, scopes, WRITING, language),
        "others": [line for line in plain(scopes, language) if line.scope not in {"offline_access", "online_access"}],
        "everything": any(one.resource_type == ANY_TYPE for one in scopes.resources),
        "everyone": bool(scopes.contexts() - {"patient"}),
        "durations": _durations(realm, language) if "offline_access" in scopes.words else [],
        "online": "online_access" in scopes.words,
        "minutes": int(realm.policy.access_life.total_seconds() // 60),
        "patient": title,
        "born": born,
        "verified": client.verified,
        "host": _host(open_.asked.redirect_uri),
        "logo": logo,
        **_links(client),
    }
    values = {**visit.values("consent"), **shown}
    return pages.show("consent", values, language, leads_to=visit.leads_to, picture=logo, back=visit.back)


def decided(asked: exchange.Request, scopes: Scopes, types: Collection[str]) -> Choice:
    """Return what a person has ticked.

    Args:
        asked: The form.
        scopes: What the app asks for.
        types: Resource types that there are.
    """
    parts: dict[str, list[str]] = {
        name.removeprefix("extent-"): []
        for name, value in asked.parameters
        if name.startswith("extent-") and value == "some"
    }
    for name, value in asked.parameters:
        kind, _, category = value.partition(" ")
        if name == "category" and kind in parts:
            parts[kind].append(category)
    keep = asked.one("keep")
    return Choice(
        _ticked(asked, "type", offered(scopes, types, READING)),
        parts,
        offline=keep not in {"", HOUR},
        writes=_ticked(asked, "write", offered(scopes, types, WRITING)),
        days=int(keep) if keep.isascii() and keep.isdigit() and len(keep) < 6 else None,
    )


def _ticked(asked: exchange.Request, field: str, kinds: Collection[str]) -> set[str]:
    """Return the types of a section that are ticked, those without a name as their common answer says."""
    ticked = {value for name, value in asked.parameters if name == field}
    rest = {kind for kind in kinds if kind not in NOUNS}
    match asked.one(f"{field}-rest"):
        case "all":
            return ticked | rest
        case "none":
            return ticked - rest
    return ticked


def _section(realm: Realm, scopes: Scopes, letters: str, language: Language) -> Section | None:
    """Return what is asked for with one of these letters, or `None`."""
    kinds = offered(scopes, realm.types, letters)
    done = {kind: _doing(scopes, kind) for kind in kinds} if letters == WRITING else {}
    common = next(iter(done.values())) if len(set(done.values())) == 1 else ""
    rows = {kind: _row(scopes, kind, letters, "" if common else done.get(kind, ""), language) for kind in kinds}
    named = {title: [rows[kind] for kind in group if kind in rows] for title, group in GROUPS.items()}
    known = [row for group in named.values() for row in group]
    rest = [row for kind, row in rows.items() if kind not in NOUNS]
    if not rows:
        return None
    if len(rest) <= FEW:  # an app that names its types gets a line for each
        known, rest = [*known, *rest], []
    groups = [Group("", known)] if len(known) <= FEW else _grouped(named, known, language)
    return Section([group for group in groups if group.rows], rest, verbs(common, language) if common else "")


def _grouped(named: Mapping[str, Sequence[Row]], known: Sequence[Row], language: Language) -> list[Group]:
    grouped = {id(row) for rows in named.values() for row in rows}
    more = [row for row in known if id(row) not in grouped]
    groups = [Group(language.say(title), rows) for title, rows in named.items()]
    return [*groups, Group(language.say("Other kinds of data"), more)]


def _doing(scopes: Scopes, kind: str) -> str:
    """Return the letters with which a type may be changed."""
    asked = [one.letters for one in scopes.resources if one.resource_type in {ANY_TYPE, kind}]
    return "".join(letter for letter in WRITING if any(letter in letters for letters in asked))


def _row(scopes: Scopes, kind: str, letters: str, doing: str, language: Language) -> Row:
    """Return the row of a type, with the part that is asked for, and what may be done with it where that is to be said."""
    asked = [one for one in concise(scopes.resources) if one.resource_type in {ANY_TYPE, kind}]
    mine = [one for one in asked if set(one.letters) & set(letters)]
    said = [verbs(doing, language)] if doing else []
    if all(one.criteria for one in mine):
        parts = "; ".join(dict.fromkeys(part(one, language) for one in mine))
        said.append(language.say("only {parts}", parts=parts))
    categories = divisible(scopes, kind) if letters == READING else ()
    named = tuple(replace(one, title=language.say(one.title)) for one in categories)
    title = noun(kind, language)
    return Row(kind, title[:1].upper() + title[1:], ": ".join(said), named)


def _durations(realm: Realm, language: Language) -> list[Duration]:
    """Return the answers to the question for how long, the longest last."""
    now, longest = realm.clock(), realm.policy.grant_life
    minutes = int(realm.policy.access_life.total_seconds() // 60)
    found = [Duration(HOUR, language.say("only now"), language.say("for {minutes} minutes", minutes=minutes))]
    for days, title in DAYS.items():
        if timedelta(days=days) < longest:
            until = language.say("until {date}", date=language.day(now + timedelta(days=days)))
            found.append(Duration(str(days), language.say(title), until))
    until = language.say("at the latest on {date}", date=language.day(now + longest))
    return [*found, Duration(LONG, language.say("until you take it back"), until)]


def _links(client: Client) -> dict[str, Any]:
    return {"home": client.uri, "policy_uri": client.policy_uri, "tos_uri": client.tos_uri}


def _host(uri: str) -> str:
    """Return where an app lives, where that is a site."""
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme in {"https", "http"} else ""
