"""smart-fetch, a bulk client that others have written, exports all of a record, a Group, and then what has changed."""

import asyncio
import sys
from pathlib import Path

from fhir_server.model import json
from tests.bulk.conftest import CLIENT, PATIENTS, Registry, lines, record

PROGRAM = Path(sys.executable).parent / "smart-fetch"
TYPES = "Patient,Observation,Condition"


async def fetched(registry: Registry, folder: Path, *options: str) -> set[str]:
    """Run the client, and return what it has fetched, as `Type/id`."""
    keys = folder.parent / "key.jwks"
    keys.write_bytes(json.encode({"keys": [{**registry.key.as_dict(private=True), "key_ops": ["sign"]}]}))
    command = [PROGRAM, "bulk", "--fhir-url", registry.base, "--smart-client-id", CLIENT, "--smart-key", keys]
    command += ["--type", TYPES, "--no-compression", "--no-default-filters", *options, folder]
    running = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(running.communicate(), 120)
    assert running.returncode == 0, said.decode()
    found = [one for path in files(folder) for one in lines(path)]
    names = {f"{one['resourceType']}/{one['id']}" for one in found}
    assert len(names) == len(found), "nothing comes twice"
    return names


def files(folder: Path) -> list[Path]:
    """Return the files with resources."""
    return [
        path for path in sorted(folder.rglob("*.ndjson")) if path.name != "log.ndjson" and "deleted" not in str(path)
    ]


def of(*patients: str) -> set[str]:
    return {f"{one['resourceType']}/{one['id']}" for patient in patients for one in record(patient)}


EVERYBODY = of(*(f"p{number}" for number in range(PATIENTS)))


async def test_it_fetches_all_and_then_what_has_changed(registry: Registry, tmp_path: Path) -> None:
    assert await fetched(registry, tmp_path / "full") == EVERYBODY
    moment = transaction_time(tmp_path / "full")
    new = record("p-new")
    for one in new:
        await registry.put("east", one)
    changed = {**record("p1")[1], "valueInteger": 99}
    await registry.put("west", changed)
    later = await fetched(registry, tmp_path / "since", "--since", moment, "--since-mode", "updated")
    assert later == of("p-new") | {"Observation/p1-o0"}
    for one in reversed(new):
        await registry.service.repository.delete(one["resourceType"], one["id"])


def transaction_time(folder: Path) -> str:
    """Return the moment of which an export is true, as the client has noted it."""
    rows = lines(folder / "log.ndjson")
    return next(str(row["eventDetail"]["transactionTime"]) for row in rows if row["eventId"] == "manifest_complete")


async def test_it_fetches_a_virtual_group_by_filters(registry: Registry, tmp_path: Path) -> None:
    filters = ("--type-filter", "Observation?status=final,amended", "--type-filter", "Condition?code=nothing")
    found = await fetched(registry, tmp_path / "group", "--group", "facility.west", *filters)
    assert found == {name for name in of("p1", "p3", "p5") if not name.startswith("Condition/")}
