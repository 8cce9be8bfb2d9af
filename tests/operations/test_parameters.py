"""Parameters of operations in the URL."""

import httpx
import pytest


@pytest.mark.parametrize("count", ["x", "", "{", "È/ý", "1.5", "-", "null", "0x10"])
async def test_what_is_no_number_is_refused_and_named(client: httpx.AsyncClient, count: str) -> None:
    answer = await client.get("Patient/1/$access-report", params={"count": count})
    assert answer.status_code == 400
    assert "'count' of $access-report" in answer.json()["issue"][0]["details"]["text"]
