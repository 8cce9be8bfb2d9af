"""AU-1: every route, whatever becomes of the request, leaves exactly one row; routes are those that are offered."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from fhir_server.capability.table import OFFERED, Interaction
from tests.access.house import House, observation
from tests.audit.trail import left, rows

VALUES = {"{type}": "Observation", "{id}": "nobody-has-this-id", "{vid}": "1", "{member}": "Condition"}
BUNDLE = {"resourceType": "Bundle", "type": "batch"}
MEDIA = {"PATCH": "application/json-patch+json"}
FORM = "application/x-www-form-urlencoded"


def _path(row: Interaction) -> str:
    shape = ("Patient", *row.shape[1:]) if row.compartment else row.shape
    return "/".join(VALUES.get(part, part) for part in shape)


def _kind(row: Interaction) -> str:
    if row.operation:
        return f"${row.operation.definition.code}"
    return "search-compartment" if row.compartment else "batch" if row.code == "transaction" else row.code


ROUTES = sorted({(row.method, _path(row), _kind(row)) for row in OFFERED if not row.public})


async def _ask(house: House, method: str, path: str, token: str) -> tuple[httpx.Response, str]:
    request_id = uuid4().hex
    is_form = path.endswith("_search")
    media = FORM if is_form else MEDIA.get(method, "application/fhir+json")
    headers = {"X-Request-Id": request_id, "Content-Type": media}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = None if is_form or method in {"GET", "DELETE"} else [] if method == "PATCH" else BUNDLE
    return await house.client.request(method, f"/fhir/{path}", json=body, headers=headers), request_id


@pytest.mark.parametrize(("method", "path", "kind"), ROUTES)
async def test_AU_1_each_outcome_of_a_route_leaves_one_row(house: House, method: str, path: str, kind: str) -> None:
    system = await house.as_("system/*.cruds")
    narrow = await house.as_("patient/Coverage.r", patient="ann")
    for token in (system.token, narrow.token, ""):
        answer, request_id = await _ask(house, method, path, token)
        found = await rows(house, rq=request_id)
        assert [(row["k"], row["st"]) for row in found] == [(kind, answer.status_code)], (path, answer.text)
        assert ("au" in found[0]) == bool(token)
        assert found[0]["oc"] == ("0" if answer.status_code < 400 else "4" if answer.status_code < 500 else "8")


async def test_AU_1_what_is_no_route_leaves_one_row(house: House) -> None:
    system = await house.as_("system/*.cruds")
    for method, path, status in (("GET", "Nothing/1", 404), ("PUT", "_history", 405), ("GET", "Patient/$no", 405)):
        answer, (row,) = await left(house, system, method, path)
        assert answer.status_code == status
        assert (row["k"], row["st"], row["oc"]) == ("unknown", status, "4")


async def test_AU_1_conflicts_and_failed_conditions_leave_one_row(house: House, fresh: Callable[[str], str]) -> None:
    system = await house.as_("system/*.cruds")
    answer, (row,) = await left(house, system, "DELETE", "Patient/ann")
    assert (answer.status_code, row["st"], row["k"]) == (409, 409, "delete")
    name = fresh("conflict")
    await left(house, system, "PUT", f"Observation/{name}", observation(name, "ann"))
    stale = {"If-Match": 'W/"7"'}
    answer, (row,) = await left(house, system, "PUT", f"Observation/{name}", observation(name, "ann"), **stale)
    assert (answer.status_code, row["st"]) == (412, 412)
    body = observation(name, "nobody-has-this-id")
    answer, (row,) = await left(house, system, "PUT", f"Observation/{name}", body)
    assert (answer.status_code, row["st"]) == (422, 422)


async def test_AU_1_xml_that_cannot_be_read_leaves_one_row(house: House) -> None:
    system = await house.as_("system/*.cruds")
    headers = {
        "X-Request-Id": uuid4().hex,
        "Content-Type": "application/fhir+xml",
        "Authorization": f"Bearer {system.token}",
    }
    for body, status in ((b"<broken", 400), (b'<Patient xmlns="http://hl7.org/fhir"><nmae/></Patient>', 400)):
        headers["X-Request-Id"] = uuid4().hex
        answer = await house.client.post("/fhir/Patient", content=body, headers=headers)
        assert answer.status_code == status
        assert [(row["k"], row["st"]) for row in await rows(house, rq=headers["X-Request-Id"])] == [("create", status)]
