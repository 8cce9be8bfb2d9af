"""Entries of a bundle as requests."""

from typing import Any

import pytest

from fhir_server.bundle import entries
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirRequest

OUTER = FhirRequest("POST", (), "http://localhost/fhir")


@pytest.mark.parametrize("junk", [1, 1.5, True, None, [], {}])
@pytest.mark.parametrize("member", ["request.url", "fullUrl"])
def test_names_the_member_that_is_no_string(junk: Any, member: str) -> None:
    row: dict[str, Any] = {"fullUrl": "urn:uuid:1", "request": {"method": "DELETE", "url": "Patient/1"}}
    (row["request"] if "." in member else row)[member.rpartition(".")[2]] = junk
    with pytest.raises(BadRequest, match="is not a string") as caught:
        entries.parse([row], OUTER, 10)
    assert caught.value.issues[0].expression == f"Bundle.entry[0].{member}"
