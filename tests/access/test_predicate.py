"""One predicate, told twice: what a principal reaches, evaluated in memory and asked of MongoDB, for thousands of random pairs.

Principals are drawn with scopes and standings, documents with resources and envelopes. Both sides are the server's own; that
they agree is what lets a write be judged by the one and a search by the other.
"""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.access.granted import Granted
from fhir_server.access.principal import Principal
from fhir_server.access.privileges import EVERYTHING, HL7_ROLE, NOTHING, OWN_ROLE, ROLES, of
from fhir_server.access.scope_filter import Letter
from fhir_server.access.standing import Standing
from fhir_server.model import query
from fhir_server.search.expression import Anything, Disclosed, Expression, OwnedBy
from fhir_server.search.expression import Nothing as NoPlace
from fhir_server.search.index import Indexer
from fhir_server.search.match import matches
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions, load
from smart_auth.scopes.grammar import parse

SEED = 20261121
DOCUMENTS, PRINCIPALS = 120, 40
"""For each type; together 40 x 5 x 120 = 24,000 pairs for each of three letters."""

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENTS = [f"p{number}" for number in range(6)]
FACILITIES = [f"f{number}" for number in range(5)]
LABELS = ["ETH", "HIV", "PSY", "R", "SDV", "V"]
GATES = ["draft", "error", "internal", "preliminary"]
LETTERS: tuple[Letter, ...] = ("r", "s", "u")
CODE = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

CRITERIA: dict[str, list[str]] = {
    "Observation": ["category=laboratory", "status=final", "date=ge2026", "code:missing=true", "performer=Patient/p1"],
    "Patient": ["active=true", "family=smith", "gender=female"],
    "Condition": ["code=a,b", "_tag=urn:x|one"],
    "Appointment": ["status=booked", "date=lt2026-06"],
    "Task": ["status=requested"],
}


def resource(chance: Random, kind: str, name: str) -> dict[str, Any]:
    one, other = chance.choice(PATIENTS), chance.choice(PATIENTS)
    subject = {"reference": f"Patient/{one}"}
    tag = (
        {"meta": {"tag": [{"system": "urn:x", "code": chance.choice(["one", "two"])}]}} if chance.random() < 0.3 else {}
    )
    elements: dict[str, dict[str, Any]] = {
        "Patient": {
            "id": chance.choice([name, *PATIENTS]),
            "active": chance.random() < 0.5,
            "gender": chance.choice(["male", "female"]),
            "name": [{"family": chance.choice(["Smith", "Jones"])}],
            "link": [{"other": {"reference": f"Patient/{other}"}, "type": "seealso"}] if chance.random() < 0.3 else [],
        },
        "Observation": {
            "status": chance.choice(["final", "amended"]),
            "category": [{"coding": [{"system": CATEGORY, "code": chance.choice(["laboratory", "survey"])}]}],
            "code": CODE,
            "subject": subject if chance.random() < 0.9 else {"reference": "Group/g"},
            "performer": [{"reference": f"Patient/{other}"}] if chance.random() < 0.5 else [],
            "effectiveDateTime": chance.choice(["2025-05-05", "2026-05-05T10:00:00Z"]),
        },
        "Condition": {
            "code": {"coding": [{"system": "urn:x", "code": chance.choice("abc")}]},
            "subject": subject,
            "asserter": {"reference": f"Patient/{other}"},
        },
        "Appointment": {
            "status": chance.choice(["booked", "proposed"]),
            "start": chance.choice(["2026-05-05T10:00:00Z", "2026-07-05T10:00:00Z"]),
            "participant": [
                {"actor": {"reference": f"Patient/{each}"}, "status": "accepted"}
                for each in dict.fromkeys([one, other] if chance.random() < 0.4 else [one])
            ],
        },
        "Task": {"status": chance.choice(["requested", "completed"]), "intent": "order", "for": subject},
    }  # fmt: skip
    return {"resourceType": kind, "id": name, **tag, **{key: value for key, value in elements[kind].items() if value}}


def document(chance: Random, indexer: Indexer, kind: str, name: str) -> dict[str, Any]:
    """Return a stored document: what is extracted of a resource, in a random envelope."""
    written = resource(chance, kind, name)
    envelope: dict[str, Any] = {"_id": written["id"], "lu": NOW - timedelta(days=chance.randrange(900))}
    if chance.random() < 0.95:
        envelope["f"] = chance.choice(FACILITIES)
    if chance.random() < 0.35:
        envelope["sl"] = sorted(chance.sample(LABELS, chance.choice([1, 1, 2])))
    if chance.random() < 0.15:
        envelope["held"] = True
    if chance.random() < 0.2:
        envelope["va"] = NOW + timedelta(milliseconds=chance.choice([-1000, -1, 0, 1, 1000]))
    if chance.random() < 0.25:
        envelope["gt"] = chance.choice(GATES)
    return {**envelope, **indexer.entries(written), "r": written}


def documents(chance: Random, indexer: Indexer, kind: str) -> list[dict[str, Any]]:
    found = [document(chance, indexer, kind, f"{kind.lower()}{number}") for number in range(DOCUMENTS)]
    return list({one["_id"]: one for one in found}.values())


def some(chance: Random, values: list[str], most: int = 3) -> frozenset[str]:
    return frozenset(chance.sample(values, chance.randrange(most + 1)))


def scopes(chance: Random, audience: str) -> str:
    contexts = {"patient": ["patient", "user"], "staff": ["user", "user", "patient"], "system": ["system"]}[audience]
    parts = []
    for _ in range(chance.choice([1, 2, 3])):
        kind = chance.choice(["*", "*", *CRITERIA])
        known = CRITERIA.get(kind, [])
        criteria = chance.sample(known, min(len(known), chance.choice([0, 0, 1, 2])))
        letters = chance.choice(["cruds", "rs", "r", "cud", "us"])
        parts.append(f"{chance.choice(contexts)}/{kind}.{letters}{'?' + '&'.join(criteria) if criteria else ''}")
    return " ".join(parts)


def privileges(chance: Random) -> Any:
    kind = chance.choice(["role", "role", "role", "roles", "everything", "nothing"])
    codes = [f"{HL7_ROLE if code in {'doctor', 'nurse', 'pharmacist', 'ict'} else OWN_ROLE}|{code}" for code in ROLES]
    match kind:
        case "everything":
            return EVERYTHING
        case "nothing":
            return NOTHING
        case _:
            return of(chance.sample(codes, 1 if kind == "role" else 2), {})


def granted(chance: Random, definitions: Definitions) -> Granted:
    """Return what a random principal with a random standing may reach."""
    audience = chance.choice(["patient", "staff", "staff", "staff", "system"])
    own = [chance.choice(PATIENTS)] if audience == "patient" else []
    who = Principal(
        audience, "app", "u", parse(scopes(chance, audience)).resources,  # type: ignore[arg-type]
        patient=own[0] if own else (chance.choice(PATIENTS) if chance.random() < 0.5 else ""),
        own=frozenset(own), fhir_user=f"Patient/{own[0]}" if own else "",
    )  # fmt: skip
    places: list[Expression] = [OwnedBy(some(chance, FACILITIES) or frozenset({"f0"})), Anything(), NoPlace()]
    custody = chance.choice(places)
    standing = Standing(
        facility="f0" if audience == "staff" else "",
        privileges=privileges(chance),
        custody=custody,
        network=some(chance, FACILITIES),
        related=some(chance, FACILITIES),
        patients=some(chance, PATIENTS),
        objecting=some(chance, PATIENTS),
        glass=dict.fromkeys(some(chance, PATIENTS, 1), NOW),
    )
    if audience == "patient":
        standing = Standing(records={own[0]: frozenset(some(chance, PATIENTS, 2))})
    gates = some(chance, GATES, 2)
    made = Granted(who, definitions, Search(), standing, gates)
    if isinstance(made._disclosed, Disclosed):  # at a time to which `visibleAt` of the documents is near
        made._disclosed = Disclosed(now=NOW, gates=gates)
    return made


async def test_what_is_reached_in_memory_is_what_the_database_finds(database: AsyncDatabase[Any]) -> None:
    chance, definitions = Random(SEED), load()
    indexer = Indexer(definitions)
    stored = {kind: documents(chance, indexer, kind) for kind in CRITERIA}
    for kind, rows in stored.items():
        await database[kind].insert_many([dict(one) for one in rows])
    pairs, partly, seen = 0, 0, 0
    for number in range(PRINCIPALS):
        reach = granted(chance, definitions)
        for kind, rows in stored.items():
            for letter in LETTERS:
                expression, where = reach.expression(kind, letter), reach.where(kind, letter)
                expected = {one["_id"] for one in rows if matches(expression, one)}
                found = await _found(database, kind, where)
                assert found == expected, (
                    number,
                    kind,
                    letter,
                    reach.principal.scopes,
                    reach.standing,
                    found ^ expected,
                )
                pairs += len(rows)
                seen += len(found)
                partly += 0 < len(found) < len(rows)
    assert pairs >= 10_000 * len(LETTERS)
    assert partly > 100  # most principals see some and not all: neither side may agree by finding nothing
    assert 0.02 < seen / pairs < 0.6


async def _found(database: AsyncDatabase[Any], kind: str, where: query.Where) -> set[str]:
    if where == query.NOTHING:
        return set()
    rows = database[kind].find(where.clause, {"_id": 1})
    return {row["_id"] async for row in rows}
