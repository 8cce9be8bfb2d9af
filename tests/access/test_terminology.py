"""Attacks on what is kept of terminology: definitions outside of the scopes, another's tables, and what others have sent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from tests.access.house import ADMINISTRATOR, STAFF, Caller, House, opened

Json = dict[str, Any]

OPEN, CLOSED = "http://town.example/open", "http://town.example/closed"
NARROW = "user/ValueSet.rs?status=active user/CodeSystem.rs?status=active user/ConceptMap.rs?status=active"
WIDE = "user/ValueSet.rs user/CodeSystem.rs user/ConceptMap.rs"


def code_system(url: str, status: str) -> Json:
    concept = [{"code": "red", "display": f"Red of {url}"}]
    return {"resourceType": "CodeSystem", "url": url, "status": status, "content": "complete", "concept": concept}


def value_set(url: str, status: str, *include: Json) -> Json:
    return {"resourceType": "ValueSet", "url": url, "status": status, "compose": {"include": list(include)}}


def concept_map(url: str, status: str) -> Json:
    row = {"code": "red", "target": [{"code": "red", "equivalence": "equal"}]}
    group = [{"source": OPEN, "target": CLOSED, "element": [row]}]
    return {"resourceType": "ConceptMap", "url": url, "status": status, "group": group}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for resource in (
            code_system(OPEN, "active"),
            code_system(CLOSED, "draft"),
            value_set(f"{OPEN}/vs", "active", {"system": OPEN}),
            value_set(f"{CLOSED}/vs", "draft", {"system": OPEN}),
            value_set(f"{OPEN}/importing", "active", {"valueSet": [f"{CLOSED}/vs"]}),
            value_set(f"{OPEN}/of-closed", "active", {"system": CLOSED}),
            concept_map(f"{CLOSED}/map", "draft"),
        ):
            path = (resource["resourceType"],)
            base = "http://127.0.0.1:8080/fhir"
            answer = await house.service.dispatch(FhirRequest("POST", path, base, body=json.encode(resource)))
            assert answer.status == 201, answer.body
        yield house


async def staff(house: House, scope: str) -> Caller:
    return await house.as_(scope, user=STAFF)


@pytest.mark.parametrize(
    "path",
    [
        f"ValueSet/$expand?url={OPEN}/vs",
        f"ValueSet/$validate-code?url={OPEN}/vs&system={OPEN}&code=red",
        f"CodeSystem/$validate-code?url={OPEN}&code=red",
        f"CodeSystem/$lookup?system={OPEN}&code=red",
        f"CodeSystem/$subsumes?system={OPEN}&codeA=red&codeB=red",
        f"ConceptMap/$translate?system={OPEN}&code=red&targetsystem={CLOSED}",
    ],
)
async def test_a_scope_for_patients_opens_no_vocabulary(house: House, path: str) -> None:
    answer = await (await staff(house, "user/Patient.rs")).get(path)
    assert answer.status_code == 403, answer.text
    assert (await (await staff(house, WIDE)).get(path)).status_code == 200


async def test_a_value_set_outside_of_the_scope_is_not_read_by_importing_it(house: House) -> None:
    for _ in range(2):  # what one caller was told is kept for nobody else, and the other way round
        wide, narrow = await staff(house, WIDE), await staff(house, NARROW)
        told = await wide.get(f"ValueSet/$expand?url={OPEN}/importing")
        assert [one["code"] for one in told.json()["expansion"]["contains"]] == ["red"]
        for path in (
            f"ValueSet/$expand?url={OPEN}/importing",
            f"ValueSet/$expand?url={CLOSED}/vs",
        ):
            refused = await narrow.get(path)
            assert refused.status_code in {404, 422}, refused.text
            absent = await narrow.get(path.replace(f"{CLOSED}/vs", f"{CLOSED}/no"))
            assert refused.text.replace(f"{CLOSED}/vs", f"{CLOSED}/no") == absent.text or "importing" in path
        checked = await narrow.get(f"ValueSet/$validate-code?url={OPEN}/importing&system={OPEN}&code=red")
        assert "Red of" not in checked.text
        assert checked.status_code != 200 or {"name": "result", "valueBoolean": False} in checked.json()["parameter"]


async def test_a_code_system_outside_of_the_scope_is_as_if_it_was_not_there(house: House) -> None:
    wide, narrow = await staff(house, WIDE), await staff(house, NARROW)
    for path in (
        f"CodeSystem/$lookup?system={CLOSED}&code=red",
        f"CodeSystem/$validate-code?url={CLOSED}&code=red",
        f"ValueSet/$expand?url={OPEN}/of-closed",
        f"ValueSet/$validate-code?url={OPEN}/of-closed&system={CLOSED}&code=red",
    ):
        assert "Red of" in (await wide.get(path)).text
        refused = await narrow.get(path)
        assert "Red of" not in refused.text
    hidden = await narrow.get(f"CodeSystem/$lookup?system={CLOSED}&code=red")
    absent = await narrow.get(f"CodeSystem/$lookup?system={CLOSED}s&code=red")
    assert (hidden.status_code, hidden.text.replace(CLOSED, f"{CLOSED}s")) == (absent.status_code, absent.text)


async def test_a_map_outside_of_the_scope_translates_nothing(house: House) -> None:
    path = f"ConceptMap/$translate?system={OPEN}&code=red&targetsystem={CLOSED}"
    assert (await (await staff(house, WIDE)).get(path)).json()["parameter"][0]["valueBoolean"] is True
    answer = await (await staff(house, NARROW)).get(path)
    assert answer.status_code != 200 or answer.json()["parameter"][0]["valueBoolean"] is False


async def test_what_one_request_sends_is_not_there_for_the_next(house: House) -> None:
    caller = await staff(house, WIDE)
    url = "http://town.example/sent"
    sent = [code_system(url, "active"), value_set(f"{url}/vs", "active", {"system": url})]
    rows: list[Json] = [{"name": "tx-resource", "resource": one} for one in sent]
    rows.append({"name": "url", "valueUri": f"{url}/vs"})
    answer = await caller.ask("POST", "ValueSet/$expand", {"resourceType": "Parameters", "parameter": rows})
    assert answer.status_code == 200, answer.text
    assert (await caller.get(f"ValueSet/$expand?url={url}/vs")).status_code == 404
    assert (await caller.get(f"CodeSystem/$lookup?system={url}&code=red")).status_code == 404


async def test_a_closure_table_is_its_callers_own(house: House) -> None:
    def adding(**more: Any) -> Json:
        concept = {"system": OPEN, "code": "red"}
        rows = [{"name": "name", "valueString": "mine"}, *({"name": "concept", "valueCoding": concept} for _ in more)]
        return {"resourceType": "Parameters", "parameter": rows}

    scope = "user/CodeSystem.rs user/ConceptMap.cruds"
    one = await house.as_(scope, user=STAFF)
    other = await house.as_(scope, user=ADMINISTRATOR)
    assert (await one.ask("POST", "$closure", adding())).status_code == 200
    assert (await one.ask("POST", "$closure", adding(concept=True))).status_code == 200
    answer = await other.ask("POST", "$closure", adding(concept=True))
    assert answer.status_code == 404, answer.text
