"""A made-up nation for query plans: 400 facilities, 5,000 patients, 20,000 encounters, and observations by the hundred thousand.

The documents are what the server stores. Their index entries are those of the indexer, made once for each kind of resource;
who, when and where differ from document to document. Frequencies follow the design's measurements: one code in nine is the hot
one, 0.18 % are of the rare one, most facilities are small, and some patients are seen very often.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.search.index import SV, Indexer
from fhir_server.search.layout import indexes
from fhir_server.store.extraction import Extraction
from profiles.definitions.registry import Definitions

Json = dict[str, Any]

FACILITIES = 400
PATIENTS = 5_000
ENCOUNTERS = 20_000
OFTEN = 100
"""Patients who have three hundred observations where others have thirty."""

LOINC = "http://loinc.org"
HOT, RARE = "8867-4", "20447-9"
PART = "8480-6"
"""What is measured together with the hot code, each time."""
VALUES = (120, 150, 190)
SHARES = (80, 19, 1)
CODES = (*(f"{number}-{number % 10}" for number in range(1000, 1060)),)
START = datetime(2020, 1, 1, tzinfo=UTC)
MINUTES = 3 * 365 * 24 * 60
BATCH = 2_000


async def settle(database: AsyncDatabase[Any], definitions: Definitions, observations: int) -> None:
    """Fill a database, and index it as the server does."""
    chance = random.Random(200_000)
    indexer = Indexer(definitions)
    for resource_type, documents in (
        ("Patient", _patients(indexer, chance)),
        ("Encounter", _encounters(indexer, chance)),
        ("Observation", _observations(indexer, chance, observations)),
    ):
        batch: list[RawBSONDocument] = []
        for document in documents:
            batch.append(RawBSONDocument(bson.encode(document)))
            if len(batch) == BATCH:
                await database[resource_type].insert_many(batch, ordered=False)
                batch = []
        if batch:
            await database[resource_type].insert_many(batch, ordered=False)
        models = [
            {"name": spec.name, "key": dict(spec.keys), **spec.options} for spec in indexes(resource_type, definitions)
        ]
        await database.command({"createIndexes": resource_type, "indexes": models})
    await Extraction(database).note(SV)


def facility(chance: random.Random) -> str:
    """Return a facility; the low numbers are large hospitals."""
    return f"facility-{int(FACILITIES * chance.random() ** 1.5)}"


def _document(resource_type: str, number: int, chance: random.Random, entries: Json) -> Json:
    body = f'{{"resourceType":"{resource_type}","id":"{resource_type[0].lower()}{number}"}}'
    return {
        "_id": f"{resource_type[0].lower()}{number}",
        "v": 1,
        "lu": START + timedelta(seconds=number),
        "o": bson.Int64(number),
        "m": "PUT",
        "f": facility(chance),
        **entries,
        "j": body.encode(),
    }


def _moments(chance: random.Random, length: timedelta) -> Json:
    low = START + timedelta(minutes=chance.randrange(MINUTES))
    return {"d": low, "dh": low + length, **({"dl": True} if length > timedelta(days=1) else {})}


def _patients(indexer: Indexer, chance: random.Random) -> Iterator[Json]:
    for number in range(PATIENTS):
        # 159 families are called Muller-something.
        family = f"Muller{number}" if number < 159 else f"Muster{number}"
        resource = {
            "resourceType": "Patient",
            "id": f"p{number}",
            "name": [{"family": family, "given": [chance.choice(["Ada", "Zoë"])]}],
            "birthDate": f"{1930 + number % 90}-{1 + number % 12:02d}-{1 + number % 28:02d}",
            "identifier": [{"system": "urn:example:mrn", "value": f"m-{number}"}],
            "gender": chance.choice(["male", "female"]),
        }
        yield _document("Patient", number, chance, indexer.entries(resource))


def _encounters(indexer: Indexer, chance: random.Random) -> Iterator[Json]:
    resource = {
        "resourceType": "Encounter",
        "id": "x",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/x"},
        "period": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T01:00:00Z"},
    }
    entries = indexer.entries(resource)
    for number in range(ENCOUNTERS):
        patient = f"p{chance.randrange(PATIENTS)}"
        length = (
            timedelta(days=chance.randrange(2, 20)) if number % 100 == 0 else timedelta(hours=chance.randrange(1, 9))
        )
        who = {"p": patient, "rf": [f"Patient/{patient}"]}
        yield _document("Encounter", number, chance, {**entries, **who, **_moments(chance, length)})


def _observations(indexer: Indexer, chance: random.Random, count: int) -> Iterator[Json]:
    kinds = {
        (code, category, status, value): indexer.entries(_observation(code, category, status, value))
        for code in (HOT, RARE, *CODES)
        for value in (VALUES if code == HOT else (0,))
        for category in ("vital-signs", "laboratory")
        for status in ("final", "preliminary")
    }
    measured = random.Random(count)
    for number in range(count):
        dice = chance.random()
        code = HOT if dice < 0.113 else RARE if dice < 0.11483 else chance.choice(CODES)
        category = "vital-signs" if chance.random() < 0.6 else "laboratory"
        value = measured.choices(VALUES, SHARES)[0] if code == HOT else 0
        entries = kinds[code, category, "preliminary" if number % 50 == 0 else "final", value]
        patient = f"p{chance.randrange(OFTEN) if chance.random() < 0.16 else chance.randrange(OFTEN, PATIENTS)}"
        encounter, performer = f"Encounter/e{chance.randrange(ENCOUNTERS)}", f"Practitioner/{chance.randrange(1_000)}"
        yield _document(
            "Observation",
            number,
            chance,
            {
                **entries,
                "p": patient,
                **_moments(chance, timedelta(0)),
                "rf": [encounter, f"Patient/{patient}", performer],
                "s": {**entries["s"], "encounter": encounter, "performer": [performer]},
            },
        )


def _observation(code: str, category: str, status: str, value: int) -> Json:
    units = {"unit": "mmHg", "code": "mm[Hg]", "system": "http://unitsofmeasure.org"}
    part = {"code": {"coding": [{"system": LOINC, "code": PART}]}, "valueQuantity": {"value": value, **units}}
    return {
        "resourceType": "Observation",
        "id": "x",
        "status": status,
        "category": [{"coding": [{"system": "urn:example:category", "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": "Patient/x"},
        "encounter": {"reference": "Encounter/x"},
        "performer": [{"reference": "Practitioner/x"}],
        "effectiveDateTime": "2020-01-01T00:00:00Z",
        "valueQuantity": {"value": 80, "unit": "/min", "code": "/min", "system": "http://unitsofmeasure.org"},
        **({"component": [part]} if value else {}),
    }
