"""What is asked of the database while a request is answered: hidden and absent must cost the same, or time tells them apart."""

from collections import Counter
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from tests.access.ground import Ground
from tests.access.house import Caller, observation
from tests.access.twins import Probe, sent

Database = AsyncDatabase[dict[str, Any]]
Cost = Counter[str]
"""How often which command is sent."""

PROFILED = 8 * 2**20
ASIDE = frozenset({"jobs", "meta", "system.profile", "writers"})
"""Collections that the server looks at in its own time, too, and that of what is looked for here."""


async def cost(database: Database, caller: Caller, probe: Probe) -> Cost:
    """Return the commands that the answer to a probe takes."""
    await database.drop_collection("system.profile")
    await database.create_collection("system.profile", capped=True, size=PROFILED)
    await database.command({"profile": 2})
    await sent(caller, probe)
    await database.command({"profile": 0})
    rows = await database["system.profile"].find({}, {"ns": 1, "op": 1, "command": 1}).to_list()
    told = [(next(iter(row["command"]), row["op"]), row["ns"].partition(".")[2]) for row in rows]
    return Counter(name for name, collection in told if collection not in ASIDE and name != "profile")


def timed(ground: Ground) -> list[Probe]:
    """Return requests for single instances, in each way that looks for one."""
    own = {key: value for key, value in observation("", "ann").items() if key != "id"}
    found = []
    for kind, name in ground.names:
        path = f"{kind}/{name}"
        found += [
            Probe("GET", path),
            Probe("GET", f"{path}/_history/1"),
            Probe("GET", f"{path}/_history"),
            Probe("GET", f"{kind}?_id={name}"),
            Probe("GET", f"Observation?focus={path}&_include=Observation:focus"),
            Probe("DELETE", path),
            Probe("PATCH", path, [{"op": "test", "path": "/status", "value": "final"}]),
            Probe("POST", "Observation", own, {"If-None-Exist": f"focus={path}"}),
            Probe("GET", f"{path}/$explain-access"),
        ]
        if kind == "Observation":
            found.append(Probe("PUT", path, {**own, "id": name}, {"If-Match": 'W/"1"'}))
    return found
