"""A search of rows finds the events that a search of the rendered AuditEvents would find, and by an index."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.audit.render import event
from fhir_server.audit.search import compile as compiled
from fhir_server.audit.where import earliest_id, rooted
from fhir_server.search.expression import Anything
from fhir_server.search.index import Indexer
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.reading import Reading
from fhir_server.settings import Search
from fhir_server.store.trail import EVENTS, Trail
from profiles.definitions.registry import load
from smart_auth.audit import KINDS
from tests.audit.rows import OBSERVER, OTHERS, ROWS, row

Document = dict[str, Any]

DEFINITIONS = load()
SETTINGS = Search()
READING = Reading(zone=ZoneInfo(SETTINGS.time_zone), definitions=DEFINITIONS, base=OBSERVER.base)
START = datetime(2026, 3, 1, tzinfo=UTC)


def placed(found: Mapping[str, Any], number: int) -> Document:
    """Return a row with a time and an id of its own."""
    at = START + timedelta(hours=number)
    return {**found, "t": at, "_id": f"{earliest_id(at)}-7000-8000-{number:012x}"}


SAID = [
    *(one for name, one in ROWS.items() if name != "token"),  # whose request id is a detail, by the profile
    *OTHERS.values(),
    *(row(kind, a="E", p=None, rt=None, m=None, st=None, f=None, rq=None, oc=KINDS[kind].outcome) for kind in KINDS),
    row("read", a="R", e=["Observation/heart2/_history/1"], p="bo", w="Practitioner/pat", u="u-pat", f="south"),
    row("$everything", p="ann", au="patient", u="u-ann", w="Patient/ann", pu="PATRQT", ip="192.168.0.7"),
]
ALL = [placed(one, number) for number, one in enumerate(SAID)]

SEARCHES = [
    "patient=Patient/ann", "patient=ann", "patient=bo", "patient=ann,bo", "patient=nobody", "patient:missing=true", "patient:missing=false",
    "agent=PractitionerRole/ward", "agent=Practitioner/pat", "agent=Organization/north", "agent=Patient/ann", "agent=Device/x",
    "agent=Organization/north,Practitioner/pat", "agent=ward",
    f"agent:identifier={OBSERVER.issuer}|u-doc", "agent:identifier=u-doc", "agent:identifier=|app", "agent:identifier=app",
    f"agent:identifier=urn:ietf:rfc:3986|{OBSERVER.base}", f"agent:identifier={OBSERVER.base}", "agent:identifier=http://else.where|u-doc",
    "entity=Observation/heart", "entity=Observation/heart2", "entity=Patient/ann", "entity=Observation/hear", "entity=Consent/c1",
    "entity=Organization/north", "entity:identifier=request-1", "entity:identifier=|request-1", "entity:identifier=urn:x|request-1",
    "entity:missing=true", "entity:missing=false",
    "action=R", "action=E", "action=C,U", "action:not=R", "action:missing=true", "action=http://hl7.org/fhir/audit-event-action|D",
    "outcome=0", "outcome=4", "outcome=8,12", "outcome:not=0", "outcome=http://terminology.hl7.org/CodeSystem/audit-event-outcome|4",
    "type=rest", "type=110113", "type=110114", "type=http://dicom.nema.org/resources/ontology/DCM|110113", "type:not=rest", "type=110106",
    "type=http://terminology.hl7.org/CodeSystem/audit-event-type|", "type=rest,110113", "type=nothing", "type:missing=true",
    "subtype=read", "subtype=search-type,search-system", "subtype=http://hl7.org/fhir/restful-interaction|update", "subtype=operation",
    "subtype=$everything", "subtype=ITI-71", "subtype=urn:ihe:event-type-code|ITI-71", "subtype=110122", "subtype:not=read", "subtype=unknown",
    "subtype=https://aquifer.example/fhir/CodeSystem/audit-subtype|$everything", "subtype=https://aquifer.example/fhir/CodeSystem/audit-subtype|",
    "subtype=http://hl7.org/fhir/restful-interaction|", "subtype=locked-out", "subtype=disclose", "subtype=nothing",
    "date=2026-03-02", "date=ge2026-03-02T05:00:00Z", "date=lt2026-03-01T06:00:00Z", "date=gt2026-03-01T06:00:00Z&date=le2026-03-02",
    "date=ne2026-03-01", "date=sa2026-03-01", "date=eb2026-03-01T03:00:00Z", "date=2026-03-01T03:00:00Z,2026-03-01T07:00:00Z", "date=2026",
    "date=ge0001-01-01", "date=lt9999", "_lastUpdated=gt2026-03-02", "_lastUpdated=2026-03-01T03:00:00.000Z",
    f"_id={ALL[0]['_id']}", f"_id={ALL[0]['_id']},{ALL[3]['_id']}", "_id=x",
    "address=10.1", "address=10.1.2.3", "address:exact=10.1.2.3", "address:contains=168", "address=fhir.example.org", "address=172",
    "policy=urn:aquifer:grant:grant-1", "policy=urn:aquifer:policy:hash", "policy=urn:else", "policy:missing=true",
    "source=Device/x", "source:identifier=x", f"source:identifier={OBSERVER.base}", "source:missing=true", "source:missing=false",
    "site=fhir.example.org", "site=else", "altid=x", "altid:missing=true", "agent-role=x", "entity-name=x", "_tag=x", "_security=x",
    "entity-role=1", "entity-role=4", "entity-role=24", "entity-role=http://terminology.hl7.org/CodeSystem/object-role|4", "entity-role=9",
    "entity-type=1", "entity-type=2", "entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type|1", "entity-role:not=4",
    "patient=ann&action=R", "patient=ann&agent=PractitionerRole/ward&date=ge2026-03-01&outcome=0",
    "_filter=patient eq Patient/ann and action eq R", "_filter=not(action eq R)", "_filter=date co 2026-03-01", "_filter=date co 2026-03-01T03:00:00.000Z",
    "_filter=date ge 2026-03-02", "_filter=date po 2026-03-02",
]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def trail(database: AsyncDatabase[Document]) -> Any:
    trail = Trail(database)
    await trail.open()
    yield trail
    await trail.close()


def expression(search: str) -> Any:
    pairs = tuple(tuple(pair.split("=", 1)) for pair in search.split("&"))
    return parse("AuditEvent", pairs, DEFINITIONS, SETTINGS, strict=True, reading=READING).expression  # type: ignore[arg-type]


async def test_rows_answer_as_the_events_that_they_are_rendered_as(trail: Trail) -> None:
    await asyncio.gather(*(trail.add(one) for one in ALL))
    indexer = Indexer(DEFINITIONS, OBSERVER.base)
    documents = {
        one["_id"]: {**indexer.entries(event(one, OBSERVER)), "_id": one["_id"], "lu": one["t"]} for one in ALL
    }
    wrong = {}
    answered = 0
    for search in SEARCHES:
        asked = expression(search)
        expected = {key for key, document in documents.items() if matches(asked, document)}
        where = compiled(asked, OBSERVER)
        clause = {"nothing": {"_id": ""}, "anything": {}}.get(where.kind, rooted(where))
        found = {one["_id"] for one in await trail.find(clause, 1000)}
        assert await trail.count(clause) == len(found)
        answered += 0 < len(found) < len(ALL)
        if found != expected:
            kinds = {one["_id"]: one["k"] for one in ALL}
            wrong[search] = ([kinds[key] for key in found - expected], [kinds[key] for key in expected - found])

    assert wrong == {}
    assert answered > len(SEARCHES) / 2


COUNT = 4000
PATIENTS, WORKERS = 40, 20
PAGE = 51
SLACK = 22
"""Rows that are looked at because clocks may differ, one in each minute, on either side."""


def busy(number: int) -> Document:
    """Return one of many rows, evenly of many patients and people."""
    return placed(
        row(
            "read" if number % 4 else "search-type",
            p=f"p{number % PATIENTS}" if number % 10 else None,
            ps=None if number % 10 else [f"p{number % PATIENTS}", "p1"],
            w=f"PractitionerRole/w{number % WORKERS}",
            f=f"f{number % WORKERS}",
            e=[f"Observation/o{number % 200}/_history/1"],
        ),
        0,
    ) | {
        "t": START + timedelta(minutes=number),
        "_id": f"{earliest_id(START + timedelta(minutes=number))}-7000-8000-{number:012x}",
    }


@pytest_asyncio.fixture(loop_scope="session")
async def many(trail: Trail) -> Trail:
    for start in range(0, COUNT, 500):
        await asyncio.gather(*(trail.add(busy(number)) for number in range(start, start + 500)))
    return trail


@pytest.mark.parametrize(
    ("search", "most"),
    [
        ("patient=p7", PAGE + 1),
        ("patient=p1", PAGE + 2),
        ("patient=p7&patient=p7", PAGE + 1),
        ("agent=PractitionerRole/w3", PAGE + 1),
        ("agent=Organization/f3", PAGE + 2),
        ("entity=Observation/o11", COUNT // 200 + 2),
        ("date=ge2026-03-02&date=lt2026-03-03", PAGE + SLACK),
        ("patient=p7&date=ge2026-03-02&date=lt2026-03-03", 36 + 2),
        ("patient=p7&action=R", 2 * PAGE),
        ("_lastUpdated=ge2026-03-03", PAGE + SLACK),
        ("", PAGE + 1),
    ],
)
@pytest.mark.parametrize("direction", [-1, 1])
async def test_a_page_examines_about_what_it_returns(many: Trail, search: str, most: int, direction: int) -> None:
    where = compiled(expression(search), OBSERVER) if search else compiled(Anything(), OBSERVER)

    explained = await many.database.command(
        {
            "explain": {"find": EVENTS, "filter": rooted(where), "sort": {"_id": direction}, "limit": PAGE},
            "verbosity": "executionStats",
        }
    )

    stats = explained["executionStats"]
    assert 0 < stats["nReturned"] <= PAGE
    assert stats["totalDocsExamined"] <= most, stats
    assert stats["totalKeysExamined"] <= 2 * most + 20, stats
