"""`:below` and `:above`: a hospital with wards and rooms, and a group that owns it, through the whole server."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import codes, said

Json = dict[str, Any]

# room1 and room2 are in the ward, the ward in the house; the shed stands alone.
PLACES = {"house": "", "ward": "house", "room1": "ward", "room2": "ward", "shed": ""}
OWNERS = {"nation": "", "region": "nation", "clinic": "region", "office": "clinic", "other": "nation"}
STAYS = {"in-house": "house", "in-ward": "ward", "in-room1": "room1", "in-room2": "room2", "in-shed": "shed"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(client: httpx.AsyncClient) -> str:
    """Locations, organizations and encounters whose ids end in this tag."""
    tag = uuid4().hex[:10]
    rows: list[Json] = []
    for resource_type, tree in (("Location", PLACES), ("Organization", OWNERS)):
        for name, whole in tree.items():
            part_of = {"partOf": {"reference": f"{resource_type}/{whole}-{tag}"}} if whole else {}
            rows.append({"resourceType": resource_type, "id": f"{name}-{tag}", "name": name, **part_of})
    for name, where in STAYS.items():
        rows.append(
            {
                "resourceType": "Encounter",
                "id": f"{name}-{tag}",
                "status": "finished",
                "class": {"code": "IMP"},
                "serviceProvider": {"reference": f"Organization/clinic-{tag}"},
                "location": [{"location": {"reference": f"Location/{where}-{tag}"}}],
            }
        )
    entries = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}} for row in rows
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return tag


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Encounter?location:below=Location/house-@", ["in-house", "in-room1", "in-room2", "in-ward"]),
        ("Encounter?location:below=ward-@", ["in-room1", "in-room2", "in-ward"]),
        ("Encounter?location:below=room1-@", ["in-room1"]),
        ("Encounter?location:below=room1-@,shed-@", ["in-room1", "in-shed"]),
        ("Encounter?location:above=room1-@", ["in-house", "in-room1", "in-ward"]),
        ("Encounter?location:above=shed-@", ["in-shed"]),
        ("Encounter?location:below=nowhere-@", []),
        ("Encounter?location.partof:below=house-@", ["in-room1", "in-room2", "in-ward"]),
        ("Encounter?service-provider:below=nation-@&location=shed-@", ["in-shed"]),
        ("Encounter?service-provider:below=Organization/other-@", []),
        ("Location?partof:below=house-@", ["room1", "room2", "ward"]),
        ("Location?partof:below=ward-@", ["room1", "room2"]),
        ("Location?partof:above=room1-@", ["room1", "room2", "ward"]),
        ("Organization?partof:below=nation-@", ["clinic", "office", "other", "region"]),
        ("Organization?partof:below=Organization/region-@&_sort=name", ["clinic", "office"]),
        ("Location?_has:Encounter:location:service-provider:below=region-@", ["house", "room1", "room2", "shed", "ward"]),
    ],
)  # fmt: skip
async def test_what_is_below_or_above(client: httpx.AsyncClient, place: str, search: str, found: list[str]) -> None:
    answer = await client.get(search.replace("@", place))
    assert answer.status_code == 200, answer.text
    ids = [entry["resource"]["id"] for entry in answer.json().get("entry", [])]
    assert sorted(one.removesuffix(f"-{place}") for one in ids) == found


async def test_a_place_does_not_become_part_of_itself(client: httpx.AsyncClient, place: str) -> None:
    one, other = f"one-{place}", f"other-{place}"
    for name, whole, status in ((one, "", 201), (other, one, 201), (one, other, 422)):
        part_of = {"partOf": {"reference": f"Location/{whole}"}} if whole else {}
        answer = await client.put(f"Location/{name}", json={"resourceType": "Location", "id": name, **part_of})
        assert answer.status_code == status
    entries = (await client.get(f"Location?partof:below={one}")).json()["entry"]
    assert [entry["resource"]["id"] for entry in entries] == [other]


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("Observation?patient:below=1", "The reference parameter 'patient' has no modifier 'below'. It takes :Patient, :identifier, :missing."),
        ("Encounter?location:below=Organization/1", "'Organization/1' is not a valid value of the reference parameter 'location'. Write an id, alone or as Location/42."),
        ("Encounter?location:below=http://x.org/Location/1", "is not a valid value of the reference parameter 'location'."),
        ("Encounter?location:belw=1", "has no modifier 'belw'. Did you mean 'below'? It takes :Location, :above, :below, :identifier, :missing."),
    ],
)  # fmt: skip
async def test_what_has_no_hierarchy_is_refused(client: httpx.AsyncClient, search: str, text: str) -> None:
    answer = await client.get(search)
    assert (answer.status_code, codes(answer)) == (400, ["invalid"])
    assert text in said(answer)
