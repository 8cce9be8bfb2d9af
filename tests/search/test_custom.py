"""What a SearchParameter resource comes to, without a database; the parameters of US Core as they are published."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fhir_server.search import custom
from fhir_server.search.edition import Added, first, following, words
from fhir_server.search.layout import added_indexes, indexes
from fhir_server.search.params import params
from profiles.definitions.registry import Definitions, load


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


def resource(code: str, expression: str, kind: str = "token", base: tuple[str, ...] = ("Patient",)) -> dict[str, Any]:
    url = f"http://example.org/{code}"
    return {
        "url": url, "code": code, "type": kind, "base": list(base), "expression": expression, "status": "active",
        "description": "",
    }  # fmt: skip


def added(definitions: Definitions, code: str, expression: str, **more: Any) -> Added:
    reading = custom.read(resource(code, expression, **more), definitions)
    assert reading.parameter is not None, reading.issues
    return Added(f"id-{code}", reading.parameter, "building", 1, "job")


def test_the_parameters_of_us_core_are_taken_or_said_already(definitions: Definitions, test_data: Path) -> None:
    own, issues = {}, {}
    with tarfile.open(test_data / "packages" / "hl7.fhir.us.core-7.0.0.tgz") as package:
        for member in package.getmembers():
            if "SearchParameter-" in member.name:
                stream = package.extractfile(member)
                assert stream is not None
                stated = json.load(stream)
                reading = custom.read(stated, definitions)
                if reading.issues:
                    issues[stated["id"]] = [issue.text for issue in reading.issues]
                elif reading.parameter:
                    own[f"{reading.parameter.base[0]}.{reading.parameter.code}"] = reading.parameter
    assert {"Patient.race", "Patient.ethnicity", "Condition.asserted-date"} <= own.keys()
    assert issues == {}


def test_a_base_type_stands_for_all_resource_types(definitions: Definitions) -> None:
    reading = custom.read(resource("lang", "Resource.language", base=("Resource",)), definitions)
    assert reading.parameter is not None
    assert set(reading.parameter.base) == definitions.resource_types


def test_types_to_which_nothing_was_added_keep_their_parameters(definitions: Definitions) -> None:
    over = definitions.extended([added(definitions, "lang", "Patient.language").parameter])
    assert params("Observation", over) is params("Observation", definitions)
    assert "lang" in params("Patient", over)
    assert "lang" not in params("Patient", definitions)
    assert over.extended([]) is definitions
    assert over.search_parameter("http://example.org/lang") is not None


def test_editions_search_by_what_is_active_and_extract_all(definitions: Definitions) -> None:
    one = added(definitions, "lang", "Patient.language")
    building = following(first(definitions), 1, [one.row()])
    assert building.searchable is definitions
    assert building.extracted.added_codes("Patient") == {"lang"}
    assert building.building == (one,)
    active = following(building, 2, [{**one.row(), "state": "active"}])
    assert active.extracted is building.extracted
    assert active.searchable is building.extracted
    assert active.codes == {"lang"}
    assert following(active, 3, []).searchable is definitions


def test_rows_of_the_register_are_read_as_they_were_written(definitions: Definitions) -> None:
    one = added(definitions, "lang", "Patient.language | Location.language", base=("Patient", "Location"))
    assert Added.of(json.loads(json.dumps(one.row()))) == one


def test_words_are_those_of_names_and_of_result_parameters() -> None:
    query = (("subject:Patient.race", "x"), ("_sort", "-rank,name"), ("name", "colour"))
    assert words(query) >= {"subject", "Patient", "race", "rank", "name"}
    assert "colour" not in words(query)


@pytest.mark.parametrize(
    ("kind", "expression", "keys"),
    [
        ("token", "Patient.language", (("s.x", 1), ("d", -1), ("o", -1))),
        ("date", "Patient.address.period", (("s.x.lo", 1), ("s.x.hi", 1))),
        ("string", "Patient.name.text", (("s.x", 1),)),
        ("reference", "Patient.contact.organization", ()),
    ],
)
def test_an_added_parameter_has_an_index_of_its_own_and_leaves_the_others(
    definitions: Definitions, kind: str, expression: str, keys: tuple[tuple[str, int], ...]
) -> None:
    over = definitions.extended([added(definitions, "x", expression, kind=kind).parameter])
    assert indexes("Patient", over)[: len(indexes("Patient", definitions))] == indexes("Patient", definitions)
    found = added_indexes("Patient", over)
    assert [spec.keys for spec in found] == ([keys] if keys else [])
