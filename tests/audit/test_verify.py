"""Whatever is done to the raw collections of the trail, the check names the lane and the number (AU-2, AU-3 in small)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.audit.keys import SigningKey
from fhir_server.audit.lane import Lane
from fhir_server.audit.pieces import split
from fhir_server.audit.sealing import Sealer
from fhir_server.audit.verify import Fault, Report, verify
from fhir_server.model import ids
from fhir_server.store.chain import Chain
from fhir_server.store.trail import Trail

NOTHING = timedelta()
NEVER = 3600.0
"""Seconds after which lanes of these tests would link by themselves."""


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class Ledger:
    """A trail of two lanes with three links of three rows each, under two seals."""

    raw: AsyncDatabase[dict[str, Any]]
    trail: Trail
    chain: Chain
    lanes: tuple[Lane, Lane]
    sealers: tuple[Sealer, Sealer]
    key: SigningKey

    async def store(self, lane: Lane | None, count: int = 3) -> None:
        """Store rows, and link them where a lane is given."""
        self.trail.follow(lane.take if lane else None)
        for number in range(count):
            await self.trail.add({"_id": ids.new(), "k": "read", "p": f"p{number}"})
        if lane:
            await lane.flush()

    async def check(self, patience: timedelta = NOTHING) -> Report:
        """Return what the check finds."""
        return await verify(self.chain, now() + timedelta(seconds=1), {self.key.id: self.key.public}, patience)

    async def first(self) -> Fault:
        """Return what the check finds first."""
        return (await self.check()).faults[0]

    async def rows_of(self, lane: int, number: int) -> list[str]:
        """Return the ids of the rows of a link."""
        link = await self.raw["chain"].find_one({"_id": self.link(lane, number)})
        assert link is not None
        rows = await self.raw["events"].find({}, {"_id": 1}).to_list()
        return [row["_id"] for row in rows if bytes.fromhex(row["_id"].replace("-", "")) in bytes(link["i"])]

    def link(self, lane: int, number: int) -> str:
        """Return the id of a link."""
        return f"{self.lanes[lane].name}/{number:010d}"


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(database: AsyncDatabase[dict[str, Any]], tmp_path: Path) -> AsyncIterator[Ledger]:
    trail = Trail(database)
    await trail.open()
    chain = Chain(trail.database)
    key = SigningKey.of(tmp_path)
    lanes = (Lane(chain, now, NEVER), Lane(chain, now, NEVER))
    sealers = (Sealer(chain, now, lanes[0], key, 60), Sealer(chain, now, lanes[1], key, 60))
    made = Ledger(database.client[f"{database.name}_audit"], trail, chain, lanes, sealers, key)
    for turn in range(3):
        for lane in lanes:
            await made.store(lane)
        if turn:
            assert await sealers[turn - 1].seal()
    yield made
    trail.follow(None)
    for lane in lanes:
        await lane.close()


async def test_AU_2_what_nobody_touched_is_sound(ledger: Ledger) -> None:
    report = await ledger.check()
    assert report.faults == []
    assert (report.rows, report.links, report.lanes, report.seals) == (18, 6, 2, 2)
    assert (report.unlinked, report.unsealed) == (0, 0)


async def test_AU_2_a_byte_of_a_row_that_is_another_one(ledger: Ledger) -> None:
    row = (await ledger.rows_of(1, 2))[1]
    await ledger.raw["events"].update_one({"_id": row}, {"$set": {"k": "reae"}})
    fault = await ledger.first()
    assert (fault.lane, fault.number, fault.event) == (ledger.lanes[1].name, 2, row)
    assert fault.what == "Row 2 of the link was altered."


async def test_AU_2_a_row_that_is_gone(ledger: Ledger) -> None:
    row = (await ledger.rows_of(0, 3))[0]
    await ledger.raw["events"].delete_one({"_id": row})
    fault = await ledger.first()
    assert (fault.lane, fault.number, fault.event) == (ledger.lanes[0].name, 3, row)
    assert fault.what == "Row 1 of the link was removed."


async def test_AU_2_two_rows_that_have_changed_places(ledger: Ledger) -> None:
    first, second = (await ledger.rows_of(0, 1))[:2]
    await ledger.raw["events"].update_one({"_id": first}, {"$set": {"p": "p1"}})
    await ledger.raw["events"].update_one({"_id": second}, {"$set": {"p": "p0"}})
    report = await ledger.check()
    assert [(one.lane, one.number, one.event) for one in report.faults] == [
        (ledger.lanes[0].name, 1, first),
        (ledger.lanes[0].name, 1, second),
    ]


async def test_AU_2_two_links_that_have_changed_places(ledger: Ledger) -> None:
    links = [await ledger.raw["chain"].find_one({"_id": ledger.link(1, number)}) for number in (2, 3)]
    for link, other in zip(links, reversed(links), strict=True):
        assert link is not None
        assert other is not None
        await ledger.raw["chain"].replace_one({"_id": link["_id"]}, {**other, "_id": link["_id"]})
    fault = await ledger.first()
    assert fault.lane == ledger.lanes[1].name
    assert fault.number == 2


async def test_AU_2_a_link_that_is_gone_from_the_middle(ledger: Ledger) -> None:
    await ledger.raw["chain"].delete_one({"_id": ledger.link(0, 2)})
    fault = await ledger.first()
    assert (fault.lane, fault.number) == (ledger.lanes[0].name, 2)
    assert "missing" in fault.what


async def test_AU_2_a_link_whose_sums_were_made_to_fit_an_altered_row(ledger: Ledger) -> None:
    link = await ledger.raw["chain"].find_one({"_id": ledger.link(0, 2)})
    assert link is not None
    await ledger.raw["chain"].update_one({"_id": link["_id"]}, {"$set": {"s": bytes(len(link["s"]))}})
    fault = await ledger.first()
    assert (fault.lane, fault.number, fault.what) == (ledger.lanes[0].name, 2, "The link was altered.")


async def test_AU_2_a_tail_that_is_cut_off_with_its_rows(ledger: Ledger) -> None:
    await ledger.raw["events"].delete_many({"_id": {"$in": await ledger.rows_of(1, 3)}})
    await ledger.raw["chain"].delete_one({"_id": ledger.link(1, 3)})
    fault = await ledger.first()
    assert (fault.lane, fault.number) == (ledger.lanes[1].name, 3)
    assert fault.what == "The lane ends too early: seal 2 has its link 3."


async def test_AU_2_a_seal_that_is_gone_or_was_made_by_somebody_else(ledger: Ledger, tmp_path: Path) -> None:
    forger = SigningKey.of(tmp_path / "forger")
    seal = await ledger.raw["seals"].find_one({"_id": "0000000002"})
    assert seal is not None
    forged = {"sig": forger.sign(bytes(seal["h"])), "kid": forger.id}
    await ledger.raw["seals"].update_one({"_id": seal["_id"]}, {"$set": forged})
    assert (await ledger.first()).what.startswith("Seal 2 is not signed by a key of this deployment")
    await ledger.raw["seals"].delete_one({"_id": "0000000001"})
    assert (await ledger.first()).what.startswith("Seal 1 is missing")


async def test_a_row_that_nobody_has_linked_is_told_of_when_it_is_old_enough(ledger: Ledger) -> None:
    await ledger.store(None, 1)
    assert (await ledger.check(timedelta(minutes=4))).faults == []
    report = await ledger.check()
    assert report.unlinked == 1
    assert report.faults[0].event


async def test_rows_of_a_process_that_died_are_linked_by_another_one(ledger: Ledger) -> None:
    await ledger.store(None, 5)
    assert await ledger.sealers[0].seal(NOTHING)
    report = await ledger.check()
    assert report.faults == []
    assert (report.rows, report.unlinked, report.unsealed) == (23, 0, 0)
    assert not await ledger.sealers[1].seal(NOTHING)  # there is nothing new, so there is nothing to seal


async def test_a_link_whose_answer_was_lost_is_not_made_twice(ledger: Ledger) -> None:
    lane = ledger.lanes[0]
    await ledger.store(None, 2)
    last = await ledger.raw["events"].find({}, {"_id": 1}, sort={"$natural": -1}, limit=2).to_list()
    rows = [row async for piece in ledger.chain.raw_events([one["_id"] for one in last]) for row in split(piece)]
    lane.take(rows)
    await lane.flush()
    lane._number, lane._before = 3, bytes((await _link(ledger, 3))["h"])  # as before the answer
    lane.take(rows)
    await lane.flush()
    assert await ledger.raw["chain"].count_documents({}) == 7
    assert (await ledger.check()).faults == []


async def _link(ledger: Ledger, number: int) -> dict[str, Any]:
    link = await ledger.raw["chain"].find_one({"_id": ledger.link(0, number)})
    assert link is not None
    return link


@pytest.mark.parametrize("leaves", [0, 1, 2, 3, 7])
def test_the_root_depends_on_every_leaf_and_their_order(leaves: int) -> None:
    from fhir_server.audit.chain import merkle_root

    hashes = [bytes([number]) * 32 for number in range(leaves)]
    roots = {merkle_root(hashes), *(merkle_root(hashes[:at] + hashes[at + 1 :]) for at in range(leaves))}
    assert len(roots) == leaves + 1
    if leaves > 1:
        assert merkle_root(hashes[::-1]) != merkle_root(hashes)
