"""A trail that fails: the database refuses its rows, while the record is there (AU-2)."""

import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.audit import spool as spooling
from fhir_server.audit.keys import SigningKey
from fhir_server.audit.lane import Lane
from fhir_server.audit.spool import FOLDER, GAP, Spool
from fhir_server.audit.verify import verify
from fhir_server.model import ids, json
from fhir_server.model.errors import Unavailable
from fhir_server.settings import Audit
from fhir_server.store import Store
from fhir_server.store.client import connect
from fhir_server.store.trail import EVENTS
from tests.access import record
from tests.access.house import House, observation, opened, said
from tests.audit.trail import left, rows

Refusing = Callable[[bool], Awaitable[None]]


async def refuse(database: AsyncDatabase[dict[str, Any]], *, refuses: bool) -> None:
    """Let the database take no row of the trail, or all of them again."""
    await database.command({"collMod": EVENTS, "validator": {"_id": {"$exists": False}} if refuses else {}})


@pytest_asyncio.fixture(loop_scope="session")
async def store(database: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[Store]:
    store = await Store.open(database, lambda _: ())
    await store.trail.open()
    yield store
    await store.close()


def files(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


@asynccontextmanager
async def _house(data_dir: Path, mongo_url: SecretStr, audit: Audit) -> AsyncIterator[tuple[House, Any]]:
    async with opened(data_dir, audit) as house, connect(mongo_url, house.service.settings) as admin:
        for one in record.everything()[:10]:
            await house.service.repository.update(one["resourceType"], one["id"], one)
        yield house, admin[house.service.store.trail.name]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def both(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[tuple[House, Any]]:
    async with _house(data_dir, mongo_url, Audit(fail="open")) as both:
        yield both


async def test_AU_2_while_the_trail_fails_nothing_is_read_and_nothing_written(
    data_dir: Path, mongo_url: SecretStr
) -> None:
    async with _house(data_dir, mongo_url, Audit()) as (house, trail):
        system = await house.as_("system/*.cruds")
        await refuse(trail, refuses=True)
        for path in ("Patient/ann", "Patient?_id=ann", "Patient/nobody"):
            answer = await system.get(path)
            assert answer.status_code == 503, path
            assert "audit trail cannot be written" in said(answer)
            assert "Patient/ann" not in answer.text
        assert (await system.put(observation("unheard", "ann"))).status_code == 503
        await refuse(trail, refuses=False)
        assert await system.status("Observation/unheard") == 404


async def test_AU_2_with_fail_open_reads_wait_on_disk_and_come_into_the_trail(
    both: tuple[House, Any], data_dir: Path
) -> None:
    house, trail = both
    system = await house.as_("system/*.cruds")
    await refuse(trail, refuses=True)
    read, found = await left(house, system, "GET", "Patient/ann")
    assert (read.status_code, found) == (200, [])
    assert (await system.get("Patient?name=Secretname")).status_code == 200
    for refused in (
        await system.put(observation("unheard", "ann")),
        await system.post(observation("unheard", "ann")),
        await system.ask("POST", "$reindex", {"resourceType": "Parameters"}),
        await system.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [_get("Patient/ann")]}),
    ):
        assert refused.status_code == 503, refused.text

    (file,) = files(data_dir / FOLDER / trail.name)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    waiting = [json.decode(line) for line in file.read_bytes().splitlines()]
    assert [(row["k"], row["st"]) for row in waiting] == [("read", 200), ("search-type", 200)] + [
        (kind, 503) for kind in ("update", "create", "transaction")
    ]
    assert "Secretname" not in file.read_text()
    ready = await house.client.get("/health/ready")
    assert (ready.status_code, ready.json()["trail"]) == (200, "fails; 5 rows wait on disk")
    assert "fhir_audit_spooled_rows 5.0" in (await house.client.get("/metrics")).text

    await refuse(trail, refuses=False)
    await house.service._spool.drain(_nothing)
    assert files(data_dir / FOLDER / trail.name) == []
    for row in waiting:
        (stored,) = await rows(house, _id=row["_id"])
        assert {**stored, "t": ""} == {**row, "t": ""}
        assert stored["t"].isoformat() == row["t"].replace("Z", "+00:00")
    (gap,) = await rows(house, k=GAP)
    assert (gap["_id"], gap["oc"], gap["x"]["rows"]) == (file.stem, "8", "5")
    admin = await house.as_("user/AuditEvent.rs", user="u-adam")
    shown = await admin.get(f"AuditEvent/{gap['_id']}")
    assert (shown.json()["type"]["code"], shown.json()["subtype"][0]["code"]) == ("110113", GAP)
    assert (await house.client.get("/health/ready")).json() == {"status": "ready"}
    assert [row["k"] for row in (await left(house, system, "GET", "Patient/ann"))[1]] == ["read"]
    assert await system.status("Observation/unheard") == 404


async def test_AU_2_the_chain_holds_the_rows_that_came_late(both: tuple[House, Any]) -> None:
    house, trail = both
    system = await house.as_("system/*.cruds")
    await refuse(trail, refuses=True)
    assert await system.status("Patient/bo") == 200
    await refuse(trail, refuses=False)
    lane = Lane(house.service.store.chain, house.service.store.clock.now)
    await house.service._spool.drain(lane.flush)
    key = SigningKey.of(house.service.settings.data_dir)
    report = await verify(house.service.store.chain, house.service.store.clock.now(), {key.id: key.public})
    assert report.is_sound, report.faults


async def test_the_files_of_a_process_that_died_are_brought_in_once(store: Store, tmp_path: Path) -> None:
    made = [{"_id": ids.new(), "t": store.clock.now(), "k": "read", "a": "R", "x": {"n": str(n)}} for n in range(2500)]
    (tmp_path / f"{ids.new()}.jsonl").write_bytes(b"\n".join(json.encode(row) for row in made) + b'\n{"_id":"torn')
    await store.trail.add(made[0])  # the process died when it had begun to bring them in
    seen: list[bytes] = []
    store.trail.follow(seen.extend)
    await Spool(store.trail, tmp_path).drain(_nothing)
    assert files(tmp_path) == []
    found = await store.trail.find({"k": "read"}, 3000, (("_id", 1),))
    assert [dict(row) for row in found] == sorted(made, key=itemgetter("_id"))
    assert len({*seen}) == len(made) + 1
    (gap,) = await store.trail.find({"k": GAP}, 10)
    assert gap["x"]["rows"] == "2500"


async def test_a_file_that_another_process_uses_is_left_alone(store: Store, tmp_path: Path) -> None:
    file = spooling._File.new(tmp_path)
    file.append(json.encode({"_id": ids.new(), "t": store.clock.now(), "k": "read"}) + b"\n", 1000)
    await Spool(store.trail, tmp_path).drain(_nothing)
    assert file.path.exists()
    file.close()
    await Spool(store.trail, tmp_path).drain(_nothing)
    assert not file.path.exists()


async def test_a_spool_that_is_full_lets_nobody_past(both: tuple[House, Any], tmp_path: Path) -> None:
    house, trail = both
    await refuse(trail, refuses=True)
    spool = Spool(house.service.store.trail, tmp_path, most=250)
    row = {"_id": ids.new(), "t": house.service.store.clock.now(), "k": "read"}
    await spool.add(row)
    with pytest.raises(Unavailable, match="nor can its rows be kept on disk"):
        await spool.add({**row, "q": "x" * 200})
    await spool.add(row)
    (file,) = files(tmp_path)
    assert len(file.read_bytes().splitlines()) == 2
    await refuse(trail, refuses=False)
    await spool.close(_nothing)
    assert files(tmp_path) == []


def _get(path: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": path}}


async def _nothing() -> None:
    return
