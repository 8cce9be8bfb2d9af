"""Snapshots of small profiles: one for each thing that a differential can say, and for each that it cannot."""

from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.snapshot import generate
from profiles.snapshot.generate import Snapshot, Snapshots
from profiles.snapshot.source import Source

Json = dict[str, Any]
CORE = "http://hl7.org/fhir/StructureDefinition/"


def profile(kind: str, *rows: Json, name: str = "p", base: str = "") -> Json:
    return {
        "resourceType": "StructureDefinition", "url": f"http://x.org/{name}", "kind": "resource", "type": kind,
        "derivation": "constraint", "baseDefinition": base or CORE + kind, "differential": {"element": list(rows)},
    }  # fmt: skip


def made(definitions: Definitions, structure: Json, *others: Json) -> Snapshot:
    return Snapshots(Source(definitions, resources=(structure, *others))).make(structure)


def by_id(snapshot: Snapshot) -> dict[str, Json]:
    assert [issue.text for issue in snapshot.issues] == []
    return {row["id"]: row for row in snapshot.rows}


def texts(snapshot: Snapshot) -> list[str]:
    return [issue.text for issue in snapshot.issues]


def test_nothing_said_gives_the_snapshot_of_the_base(definitions: Definitions) -> None:
    base = definitions.structure(CORE + "Patient")
    assert base is not None
    assert [row["id"] for row in made(definitions, profile("Patient")).rows] == [
        row["id"] for row in base["snapshot"]["element"]
    ]


def test_rows_narrow_the_elements_and_the_rest_stays(definitions: Definitions) -> None:
    rows = by_id(
        made(
            definitions,
            profile(
                "Patient",
                {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1, "mustSupport": True},
                {
                    "id": "Patient.name", "path": "Patient.name", "max": "1",
                    "constraint": [{"key": "x-1", "severity": "error", "human": "h", "expression": "true"}],
                },
                {"id": "Patient.active", "path": "Patient.active", "fixedBoolean": True},
            ),
        )
    )  # fmt: skip
    assert (rows["Patient.birthDate"]["min"], rows["Patient.birthDate"]["mustSupport"]) == (1, True)
    assert [rule["key"] for rule in rows["Patient.name"]["constraint"]] == ["ele-1", "x-1"]
    assert rows["Patient.name"]["base"]["max"] == "*"
    assert rows["Patient.active"]["fixedBoolean"] is True


def test_types_are_unfolded_where_the_differential_goes(definitions: Definitions) -> None:
    rows = by_id(made(definitions, profile("Patient", {"path": "Patient.name.period.start", "min": 1})))
    assert rows["Patient.name.period.start"]["min"] == 1
    assert rows["Patient.name.period.end"]["path"] == "Patient.name.period.end"
    assert "Patient.address.period" not in rows


def test_slices_begin_with_what_is_said_of_every_part(definitions: Definitions) -> None:
    rows = by_id(
        made(
            definitions,
            profile(
                "Observation",
                {
                    "path": "Observation.component",
                    "slicing": {"discriminator": [{"type": "pattern", "path": "code"}]},
                    "min": 2,
                },
                {"path": "Observation.component.interpretation", "max": "0"},
                {"path": "Observation.component", "sliceName": "a", "max": "1"},
                {"path": "Observation.component.code", "patternCodeableConcept": {"text": "a"}},
                {"path": "Observation.component", "sliceName": "a/b"},
                {"path": "Observation.component.dataAbsentReason", "max": "0"},
                {"path": "Observation.component", "sliceName": "c", "min": 1},
            ),
        )
    )
    order = [key for key in rows if key.startswith("Observation.component") and "." not in key[12:]]
    assert order == [
        "Observation.component",
        "Observation.component:a",
        "Observation.component:a/b",
        "Observation.component:c",
    ]
    assert [rows[key]["min"] for key in order] == [2, 0, 0, 1]
    assert rows["Observation.component:a/b.code"]["patternCodeableConcept"] == {"text": "a"}
    assert rows["Observation.component:a.dataAbsentReason"]["max"] == "1"
    assert rows["Observation.component:a/b.dataAbsentReason"]["max"] == "0"
    assert rows["Observation.component:c.interpretation"]["max"] == "0"
    assert "patternCodeableConcept" not in rows["Observation.component:c.code"]


def test_ids_say_where_a_row_belongs_that_is_out_of_order(definitions: Definitions) -> None:
    rows = by_id(
        made(
            definitions,
            profile("Observation", {"id": "Observation.component:b.code", "path": "Observation.component.code", "min": 1},
                    name="q", base="http://x.org/p"),
            profile("Observation",
                    {"path": "Observation.component", "slicing": {"discriminator": [{"type": "value", "path": "code"}]}},
                    {"path": "Observation.component", "sliceName": "a"}, {"path": "Observation.component", "sliceName": "b"}),
        )
    )  # fmt: skip
    assert "Observation.component:b.code" in rows
    assert "Observation.component:a.code" in rows


@pytest.mark.parametrize("row", [
    {"path": "Observation.valueQuantity", "min": 1},
    {"id": "Observation.value[x]:valueQuantity", "path": "Observation.value[x]", "sliceName": "valueQuantity", "min": 1},
    {"id": "Observation.value[x]:valueQuantity", "path": "Observation.valueQuantity", "min": 1},
])  # fmt: skip
def test_a_mandatory_type_of_a_choice_leaves_no_other(definitions: Definitions, row: Json) -> None:
    rows = by_id(made(definitions, profile("Observation", row)))
    assert rows["Observation.value[x]"]["type"] == [{"code": "Quantity"}]
    assert rows["Observation.value[x]"]["min"] == 1
    assert rows["Observation.value[x]"]["slicing"]["rules"] == "closed"
    assert rows["Observation.value[x]:valueQuantity"]["type"] == [{"code": "Quantity"}]


def test_an_optional_type_of_a_choice_leaves_the_others(definitions: Definitions) -> None:
    rows = by_id(made(definitions, profile("Observation", {"path": "Observation.valueQuantity.unit", "min": 1})))
    assert len(rows["Observation.value[x]"]["type"]) == 11
    assert rows["Observation.value[x]:valueQuantity.unit"]["min"] == 1


def test_content_references_are_followed(definitions: Definitions) -> None:
    rows = by_id(
        made(definitions, profile("Questionnaire", {"path": "Questionnaire.item.item.item.linkId", "maxLength": 5}))
    )
    assert rows["Questionnaire.item.item.item.linkId"]["maxLength"] == 5
    assert "contentReference" not in rows["Questionnaire.item.item"]
    assert rows["Questionnaire.item.item.item.item"]["contentReference"] == "#Questionnaire.item"


def test_extensions_are_sliced_by_url_and_take_over_what_their_definition_says(definitions: Definitions) -> None:
    extension = {
        **profile("Extension", {"path": "Extension.url", "fixedUri": "http://x.org/e"}, {"path": "Extension", "max": "1"}, name="e"),
        "kind": "complex-type",
    }  # fmt: skip
    row = {
        "path": "Patient.extension",
        "sliceName": "e",
        "type": [{"code": "Extension", "profile": ["http://x.org/e"]}],
    }
    rows = by_id(
        made(definitions, profile("Patient", row, {"path": "Patient.extension.value[x]", "min": 1}), extension)
    )
    assert rows["Patient.extension"]["slicing"]["discriminator"] == [{"type": "value", "path": "url"}]
    assert rows["Patient.extension:e"]["max"] == "1"
    assert rows["Patient.extension:e.url"]["fixedUri"] == "http://x.org/e"
    assert rows["Patient.extension:e.value[x]"]["min"] == 1


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("Patient", {"path": "Patient.shoeSize"}, "Patient has no element 'shoeSize'. Correct the path"),
        ("Patient", {"path": "Patient.name.shoeSize"}, "HumanName has no element 'shoeSize'"),
        ("Patient", {"path": "Patient.birthDate.x"}, "date has no element 'x'"),
        ("Observation", {"path": "Observation.valueAddress"}, "has no element 'valueAddress'"),
        ("Patient", {"path": "Observation.value"}, "Give each a path that begins with 'Patient'"),
        ("Patient", {"min": 1}, "there is one without a path"),
        ("Patient", {"path": "Patient..name"}, "there is 'Patient..name'"),
        ("Patient", {"path": "Patient.name", "type": "x"}, "'type' of 'Patient.name' is no list"),
        ("Observation", {"path": "Observation.status", "min": 0}, "lowers the minimum of 'Observation.status' from 1 to 0"),
        ("Patient", {"path": "Patient.birthDate", "max": "*"}, "raises the maximum of 'Patient.birthDate' from 1 to *"),
        ("Patient", {"path": "Patient.name", "min": 3, "max": "2"}, "demands at least 3 of 'Patient.name' and allows at most 2"),
        ("Patient", {"path": "Patient.name", "max": "many"}, "the maximum 'many'. It must be a number or '*'"),
        ("Patient", {"path": "Patient.name", "min": "1"}, "the minimum '1'. It must be a number."),
        ("Patient", {"path": "Patient.name", "type": [{"code": "Address"}]}, "the type Address, and its base allows HumanName"),
        ("Patient", {"path": "Patient.name", "sliceName": "x"}, "nothing says how 'name' is sliced"),
        ("Patient", {"path": "Patient.active", "fixedString": "x"}, "the value 'fixedString', and its type is boolean"),
        ("Patient", {"path": "Patient.gender", "binding": {"strength": "example"}}, "from required to example"),
        ("Patient", {"path": "Patient.name", "type": [{"code": "HumanName", "profile": ["http://x.org/no"]}]}, "is not installed"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(definitions: Definitions, kind: str, row: Json, said: str) -> None:
    found = texts(made(definitions, profile(kind, row)))
    assert len(found) == 1
    assert said in found[0]


def test_a_closed_slicing_gets_no_new_slices(definitions: Definitions) -> None:
    slicing = {"discriminator": [{"type": "value", "path": "use"}], "rules": "closed"}
    base = profile("Patient", {"path": "Patient.name", "slicing": slicing}, {"path": "Patient.name", "sliceName": "a"})
    derived = profile("Patient", {"path": "Patient.name", "sliceName": "b"}, name="q", base="http://x.org/p")
    assert "closes the slicing of 'name'" in texts(made(definitions, derived, base))[0]


def test_a_missing_base_and_bases_in_a_circle_are_told(definitions: Definitions) -> None:
    lost = made(definitions, profile("Patient", base="http://x.org/none"))
    assert (lost.rows, lost.fails) == ((), True)
    assert "is not installed" in texts(lost)[0]
    one = profile("Patient", base="http://x.org/q")
    two = profile("Patient", name="q", base="http://x.org/p")
    assert "is based on itself by way of" in texts(made(definitions, one, two))[0]
    assert "is based on itself by way of" in texts(made(definitions, profile("Patient", base="http://x.org/p")))[0]


def test_a_published_snapshot_serves_where_the_base_is_missing(definitions: Definitions) -> None:
    rows = definitions.structure(CORE + "Basic")
    assert rows is not None
    found = made(definitions, {**profile("Basic", base="http://x.org/none"), "snapshot": rows["snapshot"]})
    assert len(found.rows) == len(rows["snapshot"]["element"])
    assert [(issue.severity, issue.message_id) for issue in found.issues] == [("warning", "profile-base-published")]


def test_a_type_profile_that_uses_itself_is_unfolded_once(definitions: Definitions) -> None:
    row = {
        "path": "Extension.extension",
        "sliceName": "e",
        "type": [{"code": "Extension", "profile": ["http://x.org/e"]}],
    }
    below = {"path": "Extension.extension.extension", "sliceName": "f"}
    found = made(definitions, {**profile("Extension", row, below, name="e"), "kind": "complex-type"})
    assert not found.fails
    assert "Extension.extension:e.extension:f" in {one["id"] for one in found.rows}


def test_a_snapshot_does_not_grow_without_end(definitions: Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "MOST_ELEMENTS", 200)
    path = "Questionnaire" + ".item" * 20
    found = made(definitions, profile("Questionnaire", {"path": f"{path}.linkId", "min": 1}))
    assert found.rows == ()
    assert "would have more than 200 elements" in texts(found)[0]


def test_a_path_as_deep_as_a_well_is_told(definitions: Definitions) -> None:
    found = made(definitions, profile("Questionnaire", {"path": "Questionnaire" + ".item" * 3000 + ".linkId"}))
    assert found.rows == ()
    assert found.issues[0].code == "too-costly"


def test_logical_models_are_not_for_validation(definitions: Definitions) -> None:
    logical = {"url": "http://x.org/l", "kind": "logical", "type": "http://x.org/l", "derivation": "specialization"}
    assert "is a logical (derivation specialization)" in texts(made(definitions, logical))[0]
