"""Definitions as wholes: code systems, value sets, structures, search parameters, capabilities and operations."""

from typing import Any

import pytest

from profiles.issue import Issue
from profiles.validate.packs.messages import MESSAGES, REFUSED
from profiles.validate.validator import Validator
from tests.effort import within

Json = dict[str, Any]

PROPERTIES = "http://hl7.org/fhir/concept-properties#"
STRUCTURES = "http://hl7.org/fhir/StructureDefinition"
PARAMETERS = "http://hl7.org/fhir/SearchParameter"
OWN = "http://example.org/fhir/own"


def told(validator: Validator, resource: Json, *, strict: bool = True) -> list[Issue]:
    return [one for one in validator.check(resource, strict=strict) if one.fails or one.message_id in MESSAGES]


def codes(*concepts: Json, content: str = "complete", **members: Any) -> Json:
    stated = {"concept": list(concepts)} if concepts else {}
    return {"resourceType": "CodeSystem", "url": OWN, "status": "draft", "content": content, **stated, **members}


def prop(code: str, kind: str = "boolean", uri: str = "") -> Json:
    return {"code": code, "type": kind, **({"uri": uri} if uri else {})}


def values(**include: Any) -> Json:
    return {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [include]}}


def structure(*elements: Json, **members: Any) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": OWN,
        "name": "Own",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": f"{STRUCTURES}/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": one["path"], **one} for one in elements or ({"path": "Patient"},)]},
        **members,
    }


def extension(*elements: Json, **members: Any) -> Json:
    about = {"kind": "complex-type", "type": "Extension", "baseDefinition": f"{STRUCTURES}/Extension"}
    context = {"context": [{"type": "element", "expression": "Patient"}]}
    return structure({"path": "Extension"}, *elements, **about | context | members)


def logical(kind: str, path: str, base: str = "Element") -> Json:
    members = {"kind": "logical", "type": kind, "derivation": "specialization", "baseDefinition": base}
    return structure({"path": path}, **members)


def constrained(path: str, expression: str) -> Json:
    rule = {"key": "x-1", "severity": "error", "human": "x", "expression": expression}
    return structure({"path": "Patient"}, {"path": path, "constraint": [rule]})


def sliced(path: str, discriminator: str, kind: str = "value") -> Json:
    slicing = {"discriminator": [{"type": kind, "path": discriminator}], "rules": "open"}
    return structure({"path": "Patient"}, {"path": path, "slicing": slicing})


def parameter(expression: str, kind: str = "string", base: tuple[str, ...] = ("Organization",), **members: Any) -> Json:
    return {
        "resourceType": "SearchParameter",
        "url": OWN,
        "name": "Own",
        "status": "draft",
        "description": "x",
        "code": "own",
        "base": list(base),
        "type": kind,
        "expression": expression,
        **members,
    }


def capable(kind: str = "Patient", **resource: Any) -> Json:
    rest = [{"mode": "server", "resource": [{"type": kind, **resource}]}]
    members = {
        "status": "draft",
        "date": "2020",
        "kind": "requirements",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "description": "x",
    }
    return {"resourceType": "CapabilityStatement", **members, "rest": rest}


def searched(name: str, kind: str, definition: str) -> Json:
    return capable(searchParam=[{"name": name, "type": kind, "definition": f"{PARAMETERS}/{definition}"}])


def operation(*parameters: Json, **members: Any) -> Json:
    levels = {"system": True, "type": False, "instance": False}
    about = {"name": "Own", "status": "draft", "kind": "operation", "code": "own"}
    rows = {"parameter": list(parameters)} if parameters else {}
    return {"resourceType": "OperationDefinition", **about, **levels, **rows, **members}


def taken(name: str = "x", least: int = 0, most: str = "1", **members: Any) -> Json:
    return {"name": name, "use": "in", "min": least, "max": most, "type": "string", **members}


DERIVED: Json = {"derivedFrom": f"{PARAMETERS}/Organization-name"}
NAMES = "Organization.name | Organization.alias"

WRONG: list[tuple[str, str, Json]] = [
    ("property-repeated", "CodeSystem.property[1]", codes({"code": "a"}, property=[prop("x"), prop("x")])),
    ("property-repeated", "CodeSystem.property[1]", codes({"code": "a"}, property=[prop("x", uri="urn:x"), prop("y", uri="urn:x")])),
    ("property-type", "CodeSystem.property[0]", codes({"code": "a"}, property=[prop("notSelectable", "dateTime", f"{PROPERTIES}notSelectable")])),
    ("property-code", "CodeSystem.property[0]", codes({"code": "a"}, property=[prop("inactive", "dateTime", f"{PROPERTIES}deprecationDate")])),
    ("property-undefined", "CodeSystem.concept[0].property[0]", codes({"code": "a", "property": [{"code": "x", "valueBoolean": True}]})),
    ("property-value", "CodeSystem.concept[0].concept[0].property[0]", codes({"code": "a", "concept": [{"code": "b", "property": [{"code": "x", "valueString": "y"}]}]}, property=[prop("x")])),
    ("content-unexpected", "CodeSystem.content", codes({"code": "a"}, content="not-present")),
    ("count-complete", "CodeSystem.count", codes({"code": "a"}, count=2)),
    ("count-fragment", "CodeSystem.count", codes({"code": "a"}, content="fragment", count=1)),
    ("supplement-unnamed", "CodeSystem", codes({"code": "a"}, content="supplement")),
    ("supplement-content", "CodeSystem", codes({"code": "a"}, supplements="http://loinc.org")),
    ("include-relative", "ValueSet.compose.include[0].system", values(system="own-codes")),
    ("include-value-set", "ValueSet.compose.include[0].system", values(system="http://hl7.org/fhir/ValueSet/administrative-gender")),
    ("include-repeated", "ValueSet.compose.include[0].concept", values(system="urn:x", concept=[{"code": "a"}, {"code": "a"}])),
    ("type-undefined", "StructureDefinition.type", logical("Own", "Own")),
    ("type-of-base", "StructureDefinition.type", logical(OWN, "own", OWN)),
    ("path-begin", "StructureDefinition.differential.element[0]", logical(OWN, "Other")),
    ("extension-url", "StructureDefinition.differential.element[1].fixed.ofType(uri)", extension({"path": "Extension.url", "fixedUri": "urn:other"})),
    ("context-element", "StructureDefinition.context[0]", extension(context=[{"type": "element", "expression": "Patient.nickname"}])),
    ("context-element", "StructureDefinition.context[0]", extension(context=[{"type": "element", "expression": "Patiant"}])),
    ("constraint-syntax", "StructureDefinition.differential.element[1].constraint[0].expression", constrained("Patient.name", "family.exists(")),
    ("constraint-expression", "StructureDefinition.differential.element[1].constraint[0].expression", constrained("Patient.name", "familly.exists()")),
    ("discriminator-path", "StructureDefinition.differential.element[1].slicing.discriminator[0].path", sliced("Patient.identifier", "kind")),
    ("discriminator-path", "StructureDefinition.differential.element[1].slicing.discriminator[0].path", sliced("Patient.extension", "type")),
    ("search-expression", "SearchParameter.expression", parameter("Organization.nam")),
    ("search-expression", "SearchParameter.expression", parameter("Organization.name.where(")),
    ("search-selects-nothing", "SearchParameter.expression", parameter(NAMES, base=("Organization", "Patient"))),
    ("derived-type", "SearchParameter.type", parameter(NAMES, "token", **DERIVED)),
    ("derived-base", "SearchParameter.base", parameter(f"{NAMES} | Location.name", base=("Organization", "Location"), **DERIVED)),
    ("derived-expression", "SearchParameter.expression", parameter("Organization.name", **DERIVED)),
    ("stated-type", "CapabilityStatement.rest[0].resource[0].searchParam[0]", searched("birthdate", "token", "individual-birthdate")),
    ("stated-name", "CapabilityStatement.rest[0].resource[0].searchParam[0]", searched("born", "date", "individual-birthdate")),
    ("stated-profile", "CapabilityStatement.rest[0].resource[0].profile", capable(profile=f"{STRUCTURES}/bp")),
    ("stated-profile", "CapabilityStatement.rest[0].resource[0].supportedProfile[1]", capable("Observation", supportedProfile=[f"{STRUCTURES}/bp", f"{STRUCTURES}/Group"])),
    ("operation-nowhere", "OperationDefinition", operation(system=False)),
    ("operation-resource", "OperationDefinition", operation(type=True)),
    ("operation-query", "OperationDefinition", operation(system=False, instance=True, resource=["Patient"], kind="query")),
    ("parameter-repeated", "OperationDefinition.parameter[1]", operation(taken(), taken())),
    ("parameter-max", "OperationDefinition.parameter[0].max", operation(taken(most="many"))),
    ("parameter-range", "OperationDefinition.parameter[0].part[0]", operation({"name": "x", "use": "in", "min": 0, "max": "1", "part": [taken("y", 2)]})),
]  # fmt: skip

RIGHT: list[Json] = [
    codes({"code": "a", "property": [{"code": "x", "valueBoolean": True}, {"code": "parent", "valueCode": "b"}]}, {"code": "b"}, property=[prop("x")], count=2),
    codes({"code": "a"}, property=[prop("status", "code", f"{PROPERTIES}status"), prop("not-selectable", "boolean", f"{PROPERTIES}notSelectable")]),
    codes({"code": "a"}, content="supplement", supplements="http://loinc.org"),
    codes(content="not-present", count=350_000),
    codes({"code": "a"}, content="fragment", count=10),
    values(system="http://loinc.org", concept=[{"code": "a"}, {"code": "b"}]),
    values(valueSet=["http://hl7.org/fhir/ValueSet/administrative-gender"]),
    structure({"path": "Patient"}, {"path": "Patient.name.family"}),
    logical(OWN, "own"),
    extension({"path": "Extension.url", "fixedUri": OWN}),
    extension({"id": "Extension.extension.url", "path": "Extension.extension.url", "fixedUri": "part"}, context=[{"type": "element", "expression": "Patient.contact.name"}, {"type": "element", "expression": "Element"}]),
    constrained("Patient.name", "family.exists() or given.exists()"),
    constrained("Patient.extension", "value.ofType(string).exists() and extension('urn:x').empty()"),
    constrained("Patient.deceased[x]", "$this is boolean or $this is dateTime"),
    sliced("Patient.identifier", "type.coding.code"),
    sliced("Patient.extension", "url"),
    sliced("Patient.name", "$this"),
    sliced("Patient.contact", "organization.resolve().name"),
    sliced("Patient.generalPractitioner", "resolve()", "profile"),
    parameter(NAMES, **DERIVED),
    parameter("Organization.alias|Organization.name", **DERIVED),
    parameter("Patient.name.where(use = 'official').family", base=("Patient",)),
    parameter("Resource.id", "token", ("Resource",)),
    searched("birthdate", "date", "individual-birthdate"),
    capable("Observation", profile=f"{STRUCTURES}/Observation", supportedProfile=[f"{STRUCTURES}/bp", "http://example.org/other"]),
    operation(taken("x", 0, "*"), taken("y", 1, "12"), {**taken("x"), "use": "out"}),
    operation(system=False, type=True, resource=["Patient"]),
]  # fmt: skip


@pytest.mark.parametrize(("message_id", "place", "resource"), WRONG)
def test_what_is_wrong_is_found_where_it_is(validator: Validator, message_id: str, place: str, resource: Json) -> None:
    assert [(one.message_id, one.expression) for one in told(validator, resource)] == [(message_id, place)]
    (written,) = told(validator, resource, strict=False)
    assert not written.fails, "published definitions have it"


@pytest.mark.parametrize("resource", RIGHT)
def test_what_is_right_passes(validator: Validator, resource: Json) -> None:
    assert told(validator, resource) == []


def test_every_message_is_tested() -> None:
    elsewhere = ("full-url", "link-", "match-", "outcome-", "reference-", "entry-", "ucum-")
    tested = {message_id for message_id, _, _ in WRONG}
    assert {name for name in MESSAGES if not name.startswith(elsewhere)} == tested
    assert not tested & REFUSED


def test_a_hierarchy_of_any_depth_is_looked_at(validator: Validator) -> None:
    deep: Json = {"code": "0", "property": [{"code": "x", "valueString": "y"}]}
    for number in range(1, 60):
        deep = {"code": str(number), "concept": [deep]}
    (issue,) = told(validator, codes(deep, property=[prop("x")]))
    assert issue.expression.count("concept[0]") == 60


def test_what_is_malformed_besides_gets_its_other_findings(validator: Validator) -> None:
    for resource in (
        codes(property=["x", {"code": []}], concept={"code": 1}),
        values(system=5, concept=[{"code": {}}]),
        structure({"path": "Patient", "slicing": [], "constraint": {}}),
        parameter("Organization.name", base=({},)),  # type: ignore[arg-type]
        capable(searchParam=[{"definition": 5}], profile=[]),
        operation({"max": 5, "part": [7]}),
    ):
        assert any(one.fails for one in validator.check(resource, strict=True))


def test_hostile_expressions_are_read_in_bounded_time(validator: Validator) -> None:
    for expression in ("(" * 19_000, "a." * 9_000 + "b", "name" + ".where(true)" * 1_500, "'" + "\\u0041" * 3_000):
        (issue,) = told(validator, parameter(f"Organization.{expression}"))
        assert issue.message_id == "search-expression"
        assert len(issue.text) < 600


def test_paths_that_are_nested_without_end_take_bounded_time(validator: Validator) -> None:
    elements = [{"path": "Patient" + ".extension" * depth, "max": "1"} for depth in range(1_000)]
    with within(3):
        validator.check(structure(*elements))
