"""For any token and any question: what the token gets is what everything is, filtered by what it may see, in the same order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.access.house import ORIGIN, STAFF, Caller, House, Json, named, observation, opened
from tests.access.visibility import Token, token
from tests.search.asking import search
from tests.search.loading import load, synthea
from tests.search.oracle import Resource
from tests.search.selections import PARAMETERS

SEED = 20261121
BUNDLES = 3
TOKENS = 24
SEARCHES = 5
"""For each token."""

pytestmark = pytest.mark.xdist_group("access_property")


@dataclass(frozen=True)
class Record:
    """A house with Synthea's records, and what was loaded."""

    house: House
    whole: Caller
    resources: dict[str, list[Resource]]
    patients: list[str]

    async def holder(self, token: Token) -> Caller:
        """Return who holds a token."""
        if token.audience == "system":
            return await self.house.as_(token.text)
        user = STAFF if token.audience == "staff" else f"u-{'-'.join(token.own)}"
        if user != STAFF:
            await self.house.add_patient(user, *token.own)
        return await self.house.as_(token.text, user=user, patient=token.launched)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(data_dir: Path, mongo_url: SecretStr, test_data: Path) -> AsyncIterator[Record]:
    async with opened(data_dir) as house:
        whole = await house.as_("system/*.cruds")
        headers = {"Authorization": f"Bearer {whole.token}"}
        transport = house.client._transport
        client = httpx.AsyncClient(transport=transport, base_url=f"{ORIGIN}/fhir/", headers=headers, timeout=60)
        resources: dict[str, list[Resource]] = {}
        for bundle in synthea(test_data, BUNDLES):
            for one in await load(client, bundle):
                resources.setdefault(one["resourceType"], []).append(one)
        patients = [one["id"] for one in resources["Patient"]]
        await change(whole, Random(SEED), patients)
        yield Record(house, whole, resources, patients)


async def change(whole: Caller, chance: Random, patients: list[str]) -> None:
    """Make a past: observations that went from patient to patient and from category to category, some to their end."""
    for number in range(25):
        for _ in range(chance.choice([1, 2, 3])):
            category = chance.choice(["laboratory", "vital-signs", "survey"])
            performer = [{"reference": f"Patient/{chance.choice(patients)}"}]
            one = observation(
                f"changed-{number}", chance.choice(patients), category, status=chance.choice(["final", "amended"]),
                effectiveDateTime=chance.choice(["2010-05-05", "2020-05-05"]), performer=performer,
            )  # fmt: skip
            assert (await whole.put(one)).status_code in {200, 201}
        if chance.random() < 0.4:
            assert (await whole.ask("DELETE", f"Observation/changed-{number}")).status_code == 204


async def entries(caller: Caller, path: str) -> tuple[list[Json], Json] | None:
    """Return all entries of all pages with the first page, or `None` where the question is forbidden."""
    rows: list[Json] = []
    first: Json | None = None
    url = path
    while url:
        answer = await caller.get(url)
        if answer.status_code == 403:
            return None
        assert answer.status_code == 200, (url, answer.text)
        bundle = answer.json()
        first = first or bundle
        rows += bundle.get("entry", [])
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert first is not None
    return rows, first


def tokens() -> list[int]:
    return list(range(TOKENS))


@pytest.mark.parametrize("number", tokens())
async def test_what_a_token_gets_is_what_everything_is_filtered_by_what_it_may_see(record: Record, number: int) -> None:
    chance = Random(f"{SEED}-{number}")
    asked = token(chance, record.patients, sorted(record.resources))
    holder = await record.holder(asked)
    await _searches(record, asked, holder, chance)
    await _instances(record, asked, holder, chance)
    await _histories(record, asked, holder)


async def _searches(record: Record, asked: Token, holder: Caller, chance: Random) -> None:
    named_kinds = [scope.kind for scope in asked.scopes if scope.kind in PARAMETERS and scope.kind in record.resources]
    for _ in range(SEARCHES):
        kind = chance.choice(named_kinds or sorted(PARAMETERS.keys() & record.resources.keys()))
        query = urlencode(search(chance, kind, record.resources[kind]))
        everything = await entries(record.whole, f"{kind}?{query}&_count=200")
        assert everything is not None
        expected = [named(row["resource"]) for row in everything[0] if asked.sees(row["resource"], "s")]
        got = await entries(holder, f"{kind}?{query}&_count={chance.choice([3, 50])}&_total=accurate")
        if got is None:
            assert expected == [], (asked.text, kind)
            continue
        assert [named(row["resource"]) for row in got[0]] == expected, (asked.text, kind, query)
        assert got[1]["total"] == len(expected), (asked.text, kind, query)
        counted = (await holder.get(f"{kind}?{query}&_summary=count")).json()
        assert counted["total"] == len(expected), (asked.text, kind, query)


async def _instances(record: Record, asked: Token, holder: Caller, chance: Random) -> None:
    for kind in chance.sample(sorted(record.resources), 6):
        one = chance.choice(record.resources[kind])
        status = (await holder.get(named(one))).status_code
        assert (status == 200) == asked.sees(one, "r"), (asked.text, named(one), status)
        if not asked.sees(one, "s"):
            continue
        led = f"{kind}?_id={one['id']}&_include=*&_revinclude=*"
        everything, got = await entries(record.whole, led), await entries(holder, led)
        assert everything is not None
        assert got is not None
        rows = [row["resource"] for row in everything[0]]
        expected = [named(row) for row in rows if row["id"] == one["id"] or asked.sees(row, "rs")]
        assert [named(row["resource"]) for row in got[0]] == expected, (asked.text, led)


async def _histories(record: Record, asked: Token, holder: Caller) -> None:
    for path, letter in (
        ("Observation/_history", "s"),
        *((f"Observation/changed-{n}/_history", "r") for n in range(25)),
    ):
        everything = await entries(record.whole, f"{path}?_count=1000")
        assert everything is not None
        rows = everything[0]
        at = {_key(row): row for row in rows}
        expected = []
        for row in rows:
            name, version = _key(row)
            judged = row if "resource" in row else at[name, version - 1]
            if asked.sees(judged["resource"], letter):
                expected.append((name, version))
        answer = await holder.get(f"{path}?_count=1000")
        if answer.status_code in {403, 404}:
            assert expected == [], (asked.text, path)
            continue
        got = await entries(holder, f"{path}?_count=20")
        assert got is not None
        assert [_key(row) for row in got[0]] == expected, (asked.text, path)


def _key(row: Json) -> tuple[str, int]:
    return "/".join(row["fullUrl"].split("/")[-2:]), int(row["response"]["etag"][3:-1])
