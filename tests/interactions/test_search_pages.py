"""Pages of a search on the wire: each entry as a read returns it, and links that lead through all of them once."""

from collections.abc import Callable
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fhir_server.model import json
from tests.interactions.conftest import Json

Fresh = Callable[[str], str]


async def rows(client: httpx.AsyncClient, fresh: Fresh, count: int) -> str:
    """Store so many observations of a new patient, with decimals that a decoder would change; return the patient's id."""
    subject = fresh("p")
    await client.put(f"Patient/{subject}", json={"resourceType": "Patient", "id": subject})
    for number in range(count):
        row = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": 'naïve \u2028 "quoted"'},
            "subject": {"reference": f"Patient/{subject}"},
            "effectiveDateTime": f"2024-01-{1 + number // 2:02d}T08:00:00+01:00",
            "valueQuantity": {"value": Decimal(f"{number}.500"), "unit": "kg"},
        }
        answer = await client.post("Observation", content=json.encode(row))
        assert answer.status_code == 201, answer.text
    return subject


def links(bundle: Json) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


async def test_the_bytes_of_an_entry_are_those_of_a_read(client: httpx.AsyncClient, fresh: Fresh) -> None:
    subject = await rows(client, fresh, 3)
    page = await client.get("Observation", params={"patient": subject, "_include": "Observation:patient"})
    entries = page.json()["entry"]
    assert [entry["search"]["mode"] for entry in entries] == ["match"] * 3 + ["include"]
    for entry in entries:
        read = await client.get(entry["fullUrl"])
        assert read.status_code == 200
        assert b'"resource":' + read.content + b',"search":' in page.content


@pytest.mark.parametrize(
    "sort", ["", "date", "-date", "_lastUpdated", "-_lastUpdated", "_id", "value-quantity", "-date,_id"]
)
async def test_following_the_links_shows_every_match_once_and_in_order(
    client: httpx.AsyncClient, fresh: Fresh, sort: str
) -> None:
    subject = await rows(client, fresh, 7)
    asked = {"patient": f"Patient/{subject}", **({"_sort": sort} if sort else {})}
    whole = (await client.get("Observation", params=asked)).json()
    assert "next" not in links(whole)
    expected = [entry["resource"]["id"] for entry in whole["entry"]]

    found: list[str] = []
    bundle = (await client.get("Observation", params={**asked, "_count": 2})).json()
    while True:
        found += [entry["resource"]["id"] for entry in bundle["entry"]]
        url = links(bundle).get("next")
        if url is None:
            break
        # The link repeats the search as it was understood.
        query = parse_qs(urlsplit(url).query)
        assert query.pop("_cursor")
        assert query == {name: [str(value)] for name, value in {**asked, "_count": 2}.items()}
        bundle = (await client.get(url)).json()
        assert links(bundle)["self"] == url
    assert len(expected) == 7
    assert found == expected
