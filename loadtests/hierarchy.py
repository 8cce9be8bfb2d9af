"""What the hierarchy costs in memory: `python -m loadtests.hierarchy --organizations 10000` (docs/decisions/hierarchy-in-memory.md)."""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from fhir_server.facilities import nodes
from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ORG_LEVEL, ROLE
from fhir_server.facilities.tree import Tree

NOW = datetime(2026, 6, 1, tzinfo=UTC)
IN_A_NETWORK = 100
IN_A_REGION = 500

Json = dict[str, Any]


def organizations(count: int) -> Iterator[Json]:
    """Yield a sovereign, its regions, their networks and facilities."""
    yield organization("land", "", "sovereign")
    for number in range(count):
        region = number // IN_A_REGION
        if number % IN_A_REGION == 0:
            yield organization(f"region-{region}", "land", "region")
        if number % IN_A_NETWORK == 0:
            yield organization(f"network-{number // IN_A_NETWORK}", f"region-{region}", "network")
        yield organization(f"facility-{number}", f"region-{region}", "facility")


def organization(name: str, parent: str, level: str) -> Json:
    part = {"partOf": {"reference": f"Organization/{parent}"}} if parent else {}
    kind = {"coding": [{"system": ORG_LEVEL, "code": level}]}
    return {"resourceType": "Organization", "id": name, "active": True, "name": name, "type": [kind], **part}


def membership(number: int) -> Json:
    return {
        "resourceType": "OrganizationAffiliation",
        "id": f"member-{number}",
        "active": True,
        "period": {"start": "2026-01-01"},
        "organization": {"reference": f"Organization/network-{number // IN_A_NETWORK}"},
        "participatingOrganization": {"reference": f"Organization/facility-{number}"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        "extension": [Agreement("network", emergency=True).extension()],
    }


def timed(what: str, work: Callable[[], Any], times: int = 1) -> Any:
    """Print how long the work takes each time, and return what the last one returned."""
    began = time.perf_counter()
    for _ in range(times):
        found = work()
    print(f"{what}: {(time.perf_counter() - began) / times * 1000:.3f} ms")
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--organizations", type=int, default=10_000)
    count = asked.parse_args().organizations
    resources, members = list(organizations(count)), [membership(number) for number in range(count)]
    tracemalloc.start()
    tree = Tree(map(nodes.organization, resources), map(nodes.affiliation, members), "root")
    print(f"{len(tree)} organizations, {count} memberships: {tracemalloc.get_traced_memory()[0] / 2**20:.0f} MB")
    tracemalloc.stop()
    timed("read and built", lambda: Tree(map(nodes.organization, resources), map(nodes.affiliation, members), "root"))
    timed("below the sovereign, first", lambda: tree.below("land"))
    timed("below the sovereign, again", lambda: tree.below("land"), 1_000)
    timed("above a facility", lambda: tree.above("facility-7"), 1_000)
    timed("whom a facility shares with", lambda: tree.sharing("facility-7", NOW), 20)
    timed("when that changes next", lambda: tree.changes_after(NOW), 1_000)


if __name__ == "__main__":
    main()
