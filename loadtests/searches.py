"""Ten searches as clinics ask them, each beside the same questions put to MongoDB by the driver alone.

The baseline asks the same collections by the same indexes for the same entries; where a search takes two steps (a chain,
`_has`, `_revinclude`), so does the baseline. It stops at the stored bytes: it writes no Bundle.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pymongo.asynchronous.database import AsyncDatabase

from loadtests import records
from loadtests.processes import Process, cpu_of
from loadtests.wire import Sample, connect, over_http, repeat, request

CLIENTS = 16
LOINC = "http://loinc.org"
CODE = f"{records.CODE}|{LOINC}"
TYPED = f"{LOINC}|{records.CODE}"
LATEST = [("d", -1), ("o", -1)]
CHANGED = [("lu", -1), ("o", -1)]

Database = AsyncDatabase[dict[str, Any]]
Pairs = dict[str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of search.

    Attributes:
        name: What is asked.
        path: Resource type.
        pairs: The n-th query.
        raw: The n-th question to the driver; returns the number of documents read.
    """

    name: str
    path: str
    pairs: Callable[[int], Pairs]
    raw: Callable[[Database, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question cost.

    Attributes:
        name: What was asked.
        size: Bytes of the body of one answer.
        entries: Documents that the driver read for the same.
        sample: What the server did.
        baseline: What the driver alone did.
    """

    name: str
    size: int
    entries: int
    sample: Sample
    baseline: Sample


def patient(number: int) -> str:
    """Return the id of the n-th patient that is asked for."""
    return f"bench-{number * 7 % records.PATIENTS}"


async def rows(database: Database, name: str, clause: dict[str, Any], sort: list[tuple[str, int]], most: int) -> int:
    """Read stored bytes; return how many documents there were."""
    return len(await database[name].find(clause, {"j": 1}, sort=sort, limit=most).to_list())


async def of_family(database: Database, number: int) -> int:
    """Read the observations of the patients of a name."""
    named = {"s.family": {"$regex": f"^bench{number % records.PATIENTS}\n"}}
    found = [row["_id"] for row in await database["Patient"].find(named, {"_id": 1}).to_list()]
    return await rows(database, "Observation", {"p": {"$in": found}, "s.code": CODE}, LATEST, 50)


async def with_identified(database: Database, number: int) -> int:
    """Read the patients who have an observation of an identifier."""
    told = {"s.identifier": f"{number % records.PATIENTS}-7-{records.CODE}|urn:example:bench"}
    found = [row["p"] for row in await database["Observation"].find(told, {"p": 1}).to_list()]
    return await rows(database, "Patient", {"_id": {"$in": found}}, LATEST, 50)


async def with_observations(database: Database, number: int) -> int:
    """Read a patient and what refers to it."""
    found = await rows(database, "Patient", {"_id": patient(number)}, LATEST, 50)
    return found + await rows(database, "Observation", {"p": patient(number)}, LATEST, 1_000)


async def counted(database: Database, number: int) -> int:
    """Count the observations of a patient and code."""
    return int(await database["Observation"].count_documents({"p": patient(number), "s.code": CODE}))


QUESTIONS = (
    Question(
        "latest 50 of a patient and code",
        "Observation",
        lambda n: {"patient": patient(n), "code": TYPED, "_sort": "-date"},
        lambda database, n: rows(database, "Observation", {"p": patient(n), "s.code": CODE}, LATEST, 50),
    ),
    Question(
        "latest one of a patient and code",
        "Observation",
        lambda n: {"patient": patient(n), "code": TYPED, "_sort": "-date", "_count": "1"},
        lambda database, n: rows(database, "Observation", {"p": patient(n), "s.code": CODE}, LATEST, 1),
    ),
    Question(
        "patient and category",
        "Observation",
        lambda n: {"patient": patient(n), "category": "vital-signs", "_count": "20"},
        lambda database, n: rows(
            database,
            "Observation",
            {"p": patient(n), "s.category": {"$regex": r"^vital\-signs\|"}},
            LATEST,
            20,
        ),
    ),
    Question(
        "latest 50 of a code",
        "Observation",
        lambda _: {"code": TYPED, "_sort": "-date"},
        lambda database, _: rows(database, "Observation", {"s.code": CODE}, LATEST, 50),
    ),
    Question(
        "an identifier",
        "Observation",
        lambda n: {"identifier": f"urn:example:bench|{n % records.PATIENTS}-7-{records.CODE}"},
        lambda database, n: rows(
            database,
            "Observation",
            {"s.identifier": f"{n % records.PATIENTS}-7-{records.CODE}|urn:example:bench"},
            LATEST,
            50,
        ),
    ),
    Question(
        "patients by the beginning of a name",
        "Patient",
        lambda n: {"name": f"bench{n % 10}", "_count": "20"},
        lambda database, n: rows(database, "Patient", {"s.name": {"$regex": f"^bench{n % 10}"}}, LATEST, 20),
    ),
    Question(
        "chain: of the patients of a name",
        "Observation",
        lambda n: {"patient.family:exact": f"Bench{n % records.PATIENTS}", "code": TYPED},
        of_family,
    ),
    Question(
        "_has: patients with an observation",
        "Patient",
        lambda n: {"_has:Observation:patient:identifier": f"urn:example:bench|{n % records.PATIENTS}-7-{records.CODE}"},
        with_identified,
    ),
    Question(
        "_revinclude: a patient with observations",
        "Patient",
        lambda n: {"_id": patient(n), "_revinclude": "Observation:patient"},
        with_observations,
    ),
    Question(
        "count of a patient and code",
        "Observation",
        lambda n: {"patient": patient(n), "code": TYPED, "_summary": "count"},
        counted,
    ),
)


def url(question: Question, number: int) -> str:
    """Return the n-th URL of a question."""
    return f"/fhir/{question.path}?{urlencode(question.pairs(number))}"


async def measure(app: Process, database: Database, mongod: Process, seconds: float) -> list[Answer]:
    """Ask each question for some seconds, from sixteen clients, of the server and then of the driver."""
    return [await _answer(question, app, database, mongod, seconds) for question in QUESTIONS]


async def _answer(question: Question, app: Process, database: Database, mongod: Process, seconds: float) -> Answer:
    host = f"127.0.0.1:{app.address[1]}"
    connection = await connect(app.address)
    status, body = await connection.ask(request("GET", url(question, 1), host))
    connection.close()
    entries = await question.raw(database, 1)
    if status != 200 or not entries:
        raise SystemExit(f"'{question.name}' answers {status} with {entries} entries: {body[:500].decode()}")

    async def ask(number: int) -> bool:
        return await question.raw(database, number) > 0

    own: dict[str, float] = {}
    served: dict[str, float] = {}
    with cpu_of({"app": app, "mongod": mongod}, served):
        sample = await over_http(app.address, lambda n: request("GET", url(question, n), host), CLIENTS, seconds)
    with cpu_of({"app": Process(os.getpid(), ("", 0)), "mongod": mongod}, own):
        baseline = await repeat([ask] * CLIENTS, seconds)
    sample.cpu, baseline.cpu = served, own
    return Answer(question.name, len(body), entries, sample, baseline)
