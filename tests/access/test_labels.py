"""Security labels: which restrict, which are refused, which the server adds, and that every version keeps its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.labelling import SENSITIVE, Labeller
from fhir_server.access.labels import ACT_CODE, CONFIDENTIALITY, LABELS, OBSERVATION_VALUE, Labels
from fhir_server.model import json
from fhir_server.model.errors import Unprocessable
from fhir_server.model.query import ANYTHING
from fhir_server.settings import SENSITIVITIES, Access
from profiles.definitions.codes import Enumerator
from profiles.definitions.registry import Definitions, load
from tests.access.house import House, observation, said

Json = dict[str, Any]
Maker = Callable[[str], str]


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.fixture(scope="module")
def labels(definitions: Definitions) -> Labels:
    return Labels(definitions, Access())


def labelled(*codes: tuple[str, str], **more: Any) -> Json:
    security = [{"system": system, "code": code} if system else {"code": code} for system, code in codes]
    return {"resourceType": "Observation", "id": "1", "meta": {"security": security}, **more}


def coded(resource_type: str, system: str, code: str) -> Json:
    return {"resourceType": resource_type, "meta": {}, "code": {"coding": [{"system": system, "code": code}]}}


def added(labels: Labels, resource: Json) -> list[tuple[str, str]]:
    complete = labels.complete(resource, json.encode(resource))
    return [(one["system"], one["code"]) for one in complete["meta"].get("security", ())]


@pytest.mark.parametrize(
    ("codes", "restricting"),
    [
        ([(ACT_CODE, "HIV")], ["HIV"]),
        ([(CONFIDENTIALITY, "V"), (ACT_CODE, "PSY"), (ACT_CODE, "PSY")], ["PSY", "V"]),
        ([(CONFIDENTIALITY, "N"), (ACT_CODE, "SEX")], []),
        ([("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST")], []),
        ([("http://hl7.org/fhir/v3/ActCode", "SDV")], ["SDV"]),
        ([("urn:oid:2.16.840.1.113883.5.25", "R")], ["R"]),
        ([("", "ETH")], ["ETH"]),
        ([("urn:house", "HIV")], []),
        ([(CONFIDENTIALITY, "HIV"), (ACT_CODE, "V")], []),
    ],
)
def test_what_restricts(labels: Labels, codes: list[tuple[str, str]], restricting: list[str]) -> None:
    assert labels.envelope(labelled(*codes)) == ({"sl": restricting} if restricting else {})


def test_a_more_special_label_restricts_like_the_one_above(definitions: Definitions) -> None:
    labels = Labels(definitions, Access(labels=("SPI", "ETHUD")))
    assert labels.envelope(labelled((ACT_CODE, "PSYTHPN"))) == {"sl": ["SPI"]}
    assert labels.envelope(labelled((ACT_CODE, "ETHUD"))) == {"sl": ["ETHUD"]}
    assert labels.envelope(labelled((ACT_CODE, "HIV"))) == {}


def test_the_labels_of_the_settings_are_those_of_the_definitions(definitions: Definitions) -> None:
    terminology = definitions.terminology
    codes = Enumerator(terminology.value_sets, terminology.code_systems)
    policy = codes.pairs("http://terminology.hl7.org/ValueSet/v3-InformationSensitivityPolicy") or frozenset()
    assert {code for _, code in policy if not code.startswith("_")} | {"R", "V"} == SENSITIVITIES
    assert set(SENSITIVE) <= SENSITIVITIES
    assert (OBSERVATION_VALUE, "PATAST") in (codes.pairs(LABELS) or frozenset())


def test_a_misspelt_label_does_not_start() -> None:
    with pytest.raises(ValueError, match="'HVI' is not a label that can restrict; those are ADOL"):
        Access(labels=("HVI",))


@pytest.mark.parametrize(
    "code", [(ACT_CODE, "HVI"), (ACT_CODE, "AMB"), (CONFIDENTIALITY, "X"), ("http://hl7.org/fhir/v3/ActCode", "HVI")]
)
def test_an_unknown_label_is_refused_with_code_and_place(labels: Labels, code: tuple[str, str]) -> None:
    resource = labelled((CONFIDENTIALITY, "N"), code)
    with pytest.raises(Unprocessable, match=f"'{code[1]}' is not a security label") as refused:
        labels.complete(resource, json.encode(resource))
    assert [issue.expression for issue in refused.value.issues] == ["Observation.meta.security[1]"]


def test_labels_of_other_systems_and_of_ai_pass(labels: Labels) -> None:
    resource = labelled(("urn:house", "x"), ("", "x"), (OBSERVATION_VALUE, "AIAST"))
    assert labels.complete(resource, json.encode(resource)) is resource


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (coded("Condition", "http://snomed.info/sct", "86406008"), ["HIV", "R"]),
        (coded("Condition", "http://hl7.org/fhir/sid/icd-10-cm", "F10.20"), ["ETH", "R"]),
        (coded("Condition", "http://hl7.org/fhir/sid/icd-10", "F20.0"), ["PSY", "R"]),
        (coded("Condition", "http://hl7.org/fhir/sid/icd-10", "T74.2"), ["SDV", "R"]),
        (coded("Condition", "http://hl7.org/fhir/sid/icd-10", "F07.2"), []),
        (coded("Observation", "http://loinc.org", "86406008"), []),
        (coded("Observation", "http://loinc.org", "7917-80"), []),
        (coded("ValueSet", "http://snomed.info/sct", "86406008"), []),
    ],
)
def test_sensitive_codes_call_for_labels(labels: Labels, resource: Json, expected: list[str]) -> None:
    assert [code for _, code in added(labels, resource)] == expected


def test_what_is_labelled_stays_as_it_is(labels: Labels) -> None:
    resource = coded("Condition", "http://snomed.info/sct", "86406008")
    resource["meta"] = labelled((CONFIDENTIALITY, "V"), (ACT_CODE, "HIV"))["meta"]
    assert labels.complete(resource, json.encode(resource)) is resource


def test_labelling_can_be_switched_off_or_have_a_table_of_its_own(definitions: Definitions, tmp_path: Path) -> None:
    resource = coded("Condition", "http://snomed.info/sct", "86406008")
    assert added(Labels(definitions, Access(labelling="off")), resource) == []
    table = tmp_path / "codes.json"
    table.write_text('{"STD": {"http://snomed.info/sct": ["8640*"]}}')
    assert added(Labels(definitions, Access(sensitive=table)), resource) == [(ACT_CODE, "STD"), (CONFIDENTIALITY, "R")]
    for wrong in ("[]", '{"HIV": ["x"]}', '{"HIV": {"urn:x": [1]}}', '{"HIV": {"urn:x": ["*"]}}', '{"HVI": {}}', "{"):
        table.write_text(wrong)
        with pytest.raises(ValueError, match="no table of sensitive codes"):
            Labeller(definitions, table)


async def test_every_version_keeps_the_labels_it_had(house: House, fresh: Maker) -> None:
    name, caller = fresh("labels"), await house.as_("system/*.cruds")
    sensitive = observation(name, "ann", meta={"security": [{"system": ACT_CODE, "code": "HIV"}]})
    assert (await caller.put(sensitive)).status_code == 201
    assert (await caller.put(observation(name, "ann"))).status_code == 200
    store = house.service.store
    live = (await store.current("Observation", [name], ANYTHING))[name]
    assert "sl" not in live.document
    first = await store.read_version("Observation", name, 1, ANYTHING, None)
    assert first is not None
    assert json.decode(first.body)["meta"]["security"] == [{"system": ACT_CODE, "code": "HIV"}]
    await caller.put(sensitive)
    await caller.ask("DELETE", f"Observation/{name}")
    rows = house.service.store  # the deletion keeps them, too
    last = await rows.last_version("Observation", name, ANYTHING, None)
    assert last is not None
    assert last.deleted


async def test_an_unknown_label_is_not_stored(house: House, fresh: Maker) -> None:
    name, caller = fresh("labels"), await house.as_("system/*.cruds")
    answer = await caller.put(observation(name, "ann", meta={"security": [{"system": ACT_CODE, "code": "HVI"}]}))
    assert answer.status_code == 422
    assert "HVI" in said(answer)
    assert answer.json()["issue"][0]["expression"] == ["Observation.meta.security[0]"]
    assert await caller.status(f"Observation/{name}") == 404


async def test_labels_that_are_added_are_shown_found_and_stay(house: House, fresh: Maker) -> None:
    name, caller = fresh("labels"), await house.as_("system/*.cruds")
    test = observation(name, "ann", code={"coding": [{"system": "http://loinc.org", "code": "7917-8"}]})
    answer = await caller.put(test)
    assert answer.status_code == 201
    read = (await caller.get(f"Observation/{name}")).json()
    assert [one["code"] for one in read["meta"]["security"]] == ["HIV", "R"]
    assert await caller.found(f"Observation?_id={name}&_security={ACT_CODE}|HIV") == [f"Observation/{name}"]
    # Who sends it without them gets them again.
    await caller.put(test)
    live = (await house.service.store.current("Observation", [name], ANYTHING))[name]
    assert list(live.document["sl"]) == ["HIV", "R"]
