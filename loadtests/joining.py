"""What it costs to take facilities into a network, and that nothing of their records is touched (HI-3).

`python -m loadtests.joining --facilities 1000 --documents 10000 --documents 100000` prints, for each number of documents, how long
the joins took, what the database did for them, and whether the census of the records is the same before and after.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import bson
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ORG_LEVEL, ROLE
from fhir_server.main import Service, running
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Auth, Mongo, Settings
from fhir_server.store.accounts import Accounts
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from fhir_server.store.mongod import Mongod, url

BASE = "http://127.0.0.1:8080/fhir"
NETWORK = "network"
AT_ONCE = 1_000
IN_A_BUNDLE = 100
RECORDS = ("Organization", "Patient", "Observation")
"""Collections of which a join may change nothing; each with its history."""

Json = dict[str, Any]
Database = AsyncDatabase[Any]


@dataclass(frozen=True)
class Joined:
    """What joining took.

    Attributes:
        seconds: How long.
        commands: How many commands the profiler of the database has seen.
        touched: What those to the records did: documents examined, keys examined, documents changed and inserted.
        same: Whether the census of the records is the same before and after.
        documents: How many are in it.
    """

    seconds: float
    commands: int
    touched: Mapping[str, int]
    same: bool
    documents: int


async def fill(service: Service, database: Database, facilities: int, documents: int) -> None:
    """Put facilities and documents into a record, copies of a few that went in through the server."""
    kind = {"coding": [{"system": ORG_LEVEL, "code": NETWORK}]}
    await put(service, {"resourceType": "Organization", "id": NETWORK, "name": "Network", "type": [kind]})
    facility = {"coding": [{"system": ORG_LEVEL, "code": "facility"}]}
    await put(service, {"resourceType": "Organization", "id": "facility-0", "name": "Facility", "type": [facility]})
    await put(service, {"resourceType": "Patient", "id": "patient-0", "name": [{"family": "Copy"}]})
    observation = {
        "resourceType": "Observation",
        "id": "observation-0",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/patient-0"},
        "effectiveDateTime": "2026-05-01T08:00:00Z",
        "valueQuantity": {"value": 70, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }
    await put(service, observation)
    await _copy(database, "Organization", "facility", facilities, facilities)
    await _copy(database, "Patient", "patient", documents // 10, facilities)
    await _copy(database, "Observation", "observation", documents - documents // 10, facilities)


async def join(service: Service, database: Database, facilities: int) -> Joined:
    """Take all facilities into the network, and look at everything before and after."""
    before = await census(database)
    await database.command("profile", 2)
    began = time.perf_counter()
    for first in range(0, facilities, IN_A_BUNDLE):
        entries = [entry(number) for number in range(first, min(first + IN_A_BUNDLE, facilities))]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await service.dispatch(FhirRequest("POST", (), BASE, resource=bundle))
        if answer.status != 200:
            raise RuntimeError(answer.body.decode())
    seconds = time.perf_counter() - began
    await database.command("profile", 0)
    after = await census(database)
    touched = await _touched(database)
    commands = await database["system.profile"].count_documents({"ns": f"{database.name}.OrganizationAffiliation"})
    return Joined(seconds, commands, touched, before == after, sum(count for count, _ in before.values()))


async def census(database: Database) -> Mapping[str, tuple[int, str]]:
    """Return the number of documents and one hash over all their bytes, of each collection of records."""
    raw = database.with_options(codec_options=bson.CodecOptions(document_class=RawBSONDocument))
    found = {}
    for name in (each for one in RECORDS for each in (one, f"{one}_h")):
        count, digest = 0, sha256()
        async for document in raw[name].find().sort("_id", 1):
            digest.update(document.raw)
            count += 1
        found[name] = count, digest.hexdigest()
    return found


async def put(service: Service, resource: Json) -> None:
    """Store a resource."""
    path = (resource["resourceType"], resource["id"])
    answer = await service.dispatch(FhirRequest("PUT", path, BASE, resource=resource))
    if answer.status not in {200, 201}:
        raise RuntimeError(answer.body.decode())


def entry(number: int) -> Json:
    """Return the entry that makes a facility a member."""
    agreement = Agreement("network", "aggregate", directory=True, emergency=True)
    resource = {
        "resourceType": "OrganizationAffiliation",
        "id": f"member-{number}",
        "active": True,
        "period": {"start": "2026-01-01"},
        "organization": {"reference": f"Organization/{NETWORK}"},
        "participatingOrganization": {"reference": f"Organization/facility-{number}"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        "extension": [agreement.extension()],
    }
    return {"resource": resource, "request": {"method": "PUT", "url": f"OrganizationAffiliation/member-{number}"}}


async def _copy(database: Database, collection: str, name: str, count: int, facilities: int) -> None:
    """Insert copies of the document `name-0`, each with an id, a patient and a custodian of its own."""
    (pattern,) = await database[collection].find({"_id": f"{name}-0"}).to_list()
    old = f'"{name}-0"'.encode()
    batch = []
    for number in range(1, count):
        own = f"{name}-{number}"
        keeper = own if collection == "Organization" else f"facility-{number % facilities}"
        content = {"_id": own, "f": keeper, "r": {**pattern["r"], "id": own}}
        body = bytes(pattern["j"]).replace(old, f'"{own}"'.encode())
        patient = {"p": own} if collection == "Patient" else {}
        batch.append({**pattern, **content, **patient, "j": bson.Binary(body)})
        if len(batch) == AT_ONCE:
            await database[collection].insert_many(batch, ordered=False)
            batch = []
    if batch:
        await database[collection].insert_many(batch, ordered=False)


async def _touched(database: Database) -> Mapping[str, int]:
    names = ("docsExamined", "keysExamined", "nModified", "ninserted")
    sums = {name: {"$sum": {"$ifNull": [f"${name}", 0]}} for name in names}
    records = {"$in": [f"{database.name}.{one}" for one in RECORDS[1:]]}
    cursor = await database["system.profile"].aggregate(
        [{"$match": {"ns": records}}, {"$group": {"_id": None, **sums}}]
    )
    rows = await cursor.to_list()
    return {name: int(rows[0][name]) if rows else 0 for name in names}


@asynccontextmanager
async def record(folder: Path) -> AsyncIterator[tuple[Service, Database]]:
    """Yield a service on a new record, and the database below it."""
    settings = Settings(data_dir=folder, mongo=Mongo(database=f"joining_{uuid4().hex[:8]}"), auth=Auth(mode="open"))
    async with embedded(settings), running(settings) as service:
        accounts = Accounts.open(folder, fresh=False)  # the profiler is for the administrator of the database
        address = url(Mongod(folder, settings.mongo.cache_gb).address, "admin", accounts.admin)
        async with connect(SecretStr(address), settings) as client:
            yield service, client[settings.mongo.database]


async def measure(facilities: int, documents: int) -> Joined:
    """Return what it takes with so many documents."""
    with TemporaryDirectory() as folder:
        async with record(Path(folder)) as (service, database):
            await fill(service, database, facilities, documents)
            return await join(service, database, facilities)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--facilities", type=int, default=1_000)
    asked.add_argument("--documents", type=int, action="append")
    words = asked.parse_args()
    for documents in words.documents or [10_000, 100_000]:
        found = asyncio.run(measure(words.facilities, documents))
        print(
            f"{words.facilities} facilities, {found.documents} documents: {found.seconds:.1f} s, {found.touched}, same: {found.same}"
        )


if __name__ == "__main__":
    main()
