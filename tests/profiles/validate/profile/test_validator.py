"""What a profile asks of a resource: small profiles, one for each thing that a profile can ask."""

from decimal import Decimal
from typing import Any

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.source import Source
from profiles.validate.profile.asking import Asking, Known
from profiles.validate.profile.validator import ProfileValidator
from terminology.ucum.ucum import Ucum
from tests.profiles.validate.profile.samples import (
    LOINC,
    bundle,
    concept,
    extension,
    observation,
    profile,
    said,
    sliced,
)

Json = dict[str, Any]


def test_cardinality_is_told_with_the_profile_that_asks(findings: Any) -> None:
    p = profile("Patient", {"path": "Patient.birthDate", "min": 1}, {"path": "Patient.name", "max": "1"})
    assert findings({"resourceType": "Patient", "birthDate": "2000", "name": [{}]}, p) == []
    found = findings({"resourceType": "Patient", "name": [{}, {}]}, p)
    assert [(one.code, one.expression, one.text) for one in found] == [
        ("structure", "Patient.name[1]", "Patient.name: max allowed = 1, but found 2 (from http://x.org/p). Remove the surplus."),
        ("required", "Patient", "Patient.birthDate: minimum required = 1, but only found 0 (from http://x.org/p). Add 'birthDate'."),
    ]  # fmt: skip
    assert findings({"resourceType": "Patient", "_birthDate": {"extension": []}}, p) == []


def test_fixed_values_are_exact_and_patterns_are_contained(findings: Any) -> None:
    p = profile(
        "Observation",
        {"path": "Observation.code", "patternCodeableConcept": concept("1")},
        {"path": "Observation.category", "fixedCodeableConcept": concept("a")},
    )
    extra = {
        "coding": [{"system": "urn:x", "code": "y"}, {"system": LOINC, "code": "1", "display": "one"}],
        "text": "one",
    }
    assert findings(observation(code=extra, category=[concept("a")]), p) == []
    found = findings(observation(code=concept("2"), category=[{**concept("a"), "text": "a"}]), p)
    assert said(found) == [("fixed", "Observation.category[0]"), ("pattern", "Observation.code")]
    assert "must have {" in found[1].text
    assert '"code":"1"' in found[1].text


def test_numbers_are_compared_by_value(findings: Any) -> None:
    p = profile(
        "Observation", {"path": "Observation.valueQuantity.value", "minValueDecimal": Decimal(0), "maxValueDecimal": Decimal(9)}
    )  # fmt: skip
    assert findings(observation(valueQuantity={"value": Decimal("9.0")}), p) == []
    found = findings(observation(valueQuantity={"value": Decimal("9.5")}), p)
    assert said(found) == [("range", "Observation.value.ofType(Quantity).value")]
    assert "the greatest value in the profile" in found[0].text


def test_quantities_of_other_units_are_compared_where_units_are_known(definitions: Definitions) -> None:
    least = {"value": 1, "system": "http://unitsofmeasure.org", "code": "kg"}
    p = profile("Observation", {"path": "Observation.valueQuantity", "minValueQuantity": least})
    source = Source(definitions, resources=[p])

    def of(engine: Engine, value: int, code: str) -> list[tuple[str, str]]:
        quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": code}
        return said(ProfileValidator(source, engine=engine).check(observation(valueQuantity=quantity), [p["url"]]))

    low = [("range", "Observation.value.ofType(Quantity)")]
    ucum = Engine(definitions, units=Ucum())
    assert [of(ucum, 999, "g"), of(ucum, 1000, "g"), of(ucum, 0, "kg"), of(ucum, 1, "m")] == [low, [], low, []]
    assert of(Engine(definitions), 999, "g") == []


def test_types_that_a_profile_excludes_are_refused(findings: Any) -> None:
    p = profile("Observation", {"path": "Observation.value[x]", "type": [{"code": "Quantity"}, {"code": "string"}]})
    assert findings(observation(valueString="x"), p) == []
    found = findings(observation(valueInteger=1), p)
    assert said(found) == [("type", "Observation.value.ofType(integer)")]
    assert "is of type integer, and only Quantity or string is allowed here" in found[0].text


def test_what_is_referred_to_must_be_of_the_profile_where_it_is_at_hand(findings: Any) -> None:
    named = profile("Patient", {"path": "Patient.name", "min": 1}, name="named")
    p = profile(
        "Observation", {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [named["url"]]}]}
    )  # fmt: skip
    assert findings(observation(subject={"reference": "Patient/1"}), p, named) == []
    found = findings(observation(subject={"reference": "Group/1"}), p, named)
    assert said(found) == [("reference-target", "Observation.subject")]
    inside = observation(contained=[{"resourceType": "Patient", "id": "a"}], subject={"reference": "#a"})
    found = findings(inside, p, named)
    assert said(found) == [("reference-profile", "Observation.subject")]
    assert "Patient.name: minimum required = 1" in found[0].text
    inside["contained"][0]["name"] = [{"text": "x"}]
    assert findings(inside, p, named) == []


def test_what_holds_for_an_element_holds_for_those_that_refer_to_it(findings: Any) -> None:
    p = profile("Questionnaire", {"path": "Questionnaire.item.text", "min": 1})

    def of(**more: Any) -> Json:
        return {
            "resourceType": "Questionnaire",
            "item": [{"linkId": "1", "text": "x", "item": [{"linkId": "2", **more}]}],
        }

    assert findings(of(text="y"), p) == []
    assert said(findings(of(), p)) == [("minimum", "Questionnaire.item[0].item[0]")]
    deep = of(text="y", item=[{"linkId": "3", "text": "z", "item": [{"linkId": "4"}]}])
    assert said(findings(deep, p)) == [("minimum", "Questionnaire.item[0].item[0].item[0].item[0]")]


def test_equal_primitive_values_are_told_apart_by_their_place(findings: Any) -> None:
    short = profile("string", {"path": "string", "maxLength": 2}, name="short", kind="primitive-type")
    p = profile("Patient", {"path": "Patient.name.given", "type": [{"code": "string", "profile": [short["url"]]}]})
    word = "long"
    found = findings({"resourceType": "Patient", "name": [{"given": [word, "a", word]}]}, p, short)
    assert said(found) == [("range", "Patient.name[0].given[0]"), ("range", "Patient.name[0].given[2]")]


def test_resources_elsewhere_are_looked_at_where_somebody_finds_them(definitions: Definitions) -> None:
    named = profile("Patient", {"path": "Patient.name", "min": 1}, name="named")
    p = profile(
        "Observation", {"path": "Observation.subject", "type": [{"code": "Reference", "targetProfile": [named["url"]]}]}
    )
    validator = ProfileValidator(Source(definitions, resources=[p, named]))
    stored: dict[str, Json] = {
        "Patient/1": {"resourceType": "Patient", "name": [{}]},
        "Patient/2": {"resourceType": "Patient"},
    }

    def find(reference: str) -> Json | None:
        return stored.get(reference)

    def of(reference: str) -> list[tuple[str, str]]:
        resource = observation(subject={"reference": reference})
        return said(validator.check(resource, [p["url"]], resolve=find))

    assert of("Patient/1") == []
    assert of("Patient/2") == [("reference-profile", "Observation.subject")]
    assert of("Patient/3") == []


def test_references_in_a_circle_end(findings: Any) -> None:
    reference = {"type": [{"code": "Reference", "targetProfile": ["http://x.org/p"]}]}
    p = profile(
        "Observation", {"path": "Observation.derivedFrom", **reference}, {"path": "Observation.value[x]", "min": 1}
    )
    one = observation(id="1", derivedFrom=[{"reference": "Observation/2"}], valueInteger=1)
    two = observation(id="2", derivedFrom=[{"reference": "Observation/1"}])
    both = bundle({"resource": {**one, "meta": {"profile": ["http://x.org/p"]}}}, {"resource": two})
    whole = profile("Bundle", name="b")
    found = findings(both, whole, p)
    assert said(found) == [("reference-profile", "Bundle.entry[0].resource/*Observation/1*/.derivedFrom[0]")]


def test_bindings_of_every_strength(findings: Any) -> None:
    def p(strength: str, value_set: str = "http://hl7.org/fhir/ValueSet/observation-status") -> Json:
        return profile(
            "Observation", {"path": "Observation.method", "binding": {"strength": strength, "valueSet": value_set}}
        )

    status = "http://hl7.org/fhir/observation-status"
    assert findings(observation(method=concept("final", status)), p("required")) == []
    wrong = observation(method=concept("male", "http://hl7.org/fhir/administrative-gender"))
    assert [(one.severity, one.code) for one in findings(wrong, p("required"))] == [("error", "code-invalid")]
    assert [(one.severity, one.code) for one in findings(wrong, p("extensible"))] == [("warning", "code-invalid")]
    assert [(one.severity, one.code) for one in findings(wrong, p("preferred"))] == [("information", "code-invalid")]
    assert findings(wrong, p("example")) == []
    assert said(findings(observation(method={"text": "x"}), p("required"))) == [
        ("binding-missing", "Observation.method")
    ]
    assert findings(observation(method={"text": "x"}), p("extensible")) == []
    unknown = findings(wrong, p("required", "http://x.org/vs"))
    assert [(one.severity, one.message_id) for one in unknown] == [("warning", "binding-unchecked")]


def test_a_terminology_service_is_asked_about_what_nobody_here_knows(findings: Any) -> None:
    p = profile(
        "Observation",
        {"path": "Observation.method", "binding": {"strength": "required", "valueSet": "http://x.org/vs"}},
    )

    def answered(code: str) -> list[Issue]:
        """Return what is found, first without and then with the answers of a service."""
        asking = Asking()
        open_ = findings(observation(method=concept(code)), p, asking=asking)
        assert said(open_) == [("binding-unchecked", "Observation.method")]
        assert list(asking.open_members) == [("http://x.org/vs", "http://loinc.org", code)]
        asking.members = {one: {"a": True, "b": False}.get(one[2]) for one in asking.open_members}
        asking.codings = dict.fromkeys(asking.open_codings)
        asking.again()
        found = findings(observation(method=concept(code)), p, asking=asking)
        assert not asking.is_open
        return list(found)

    assert answered("a") == []
    assert said(answered("b")) == [("binding-required", "Observation.method")]
    assert said(answered("c")) == [("binding-unchecked", "Observation.method")]


def test_what_is_not_required_is_asked_where_that_is_wanted(findings: Any) -> None:
    p = profile(
        "Observation",
        {"path": "Observation.method", "binding": {"strength": "extensible", "valueSet": "http://x.org/vs"}},
    )
    given = observation(method=concept("b"))
    for wanted in (False, True):
        asking = Asking(extensible=wanted)
        assert findings(given, p, asking=asking) == []
        assert bool(asking.open_members) is wanted
    asking.members = dict.fromkeys(asking.open_members, False)
    assert said(findings(given, p, asking=asking)) == [("binding-extensible", "Observation.method")]


def test_a_code_of_a_system_that_is_not_here_is_asked_about(findings: Any) -> None:
    coded = {"coding": [{"system": "http://loinc.org", "code": "x", "display": "Other"}]}
    given = observation(code={"text": "x"}, method=coded)
    asking = Asking()
    assert findings(given, profile("Observation"), asking=asking) == []
    assert list(asking.open_codings) == [("http://loinc.org", "", "x")]
    for known, told in (
        (None, []),
        (Known("2.77", complete=False, displays=None), []),
        (Known("2.77", complete=True, displays=None), [("code-unknown", "Observation.method.coding[0].code")]),
        (Known("2.77", complete=True, displays=("Other",)), []),
        (Known("2.77", complete=True, displays=("One",)), [("display", "Observation.method.coding[0].display")]),
    ):
        asking = Asking(codings={("http://loinc.org", "", "x"): known})
        assert said(findings(given, profile("Observation"), asking=asking)) == told


def test_constraints_are_met_in_their_resource(findings: Any) -> None:
    rule = {
        "key": "x-1",
        "severity": "error",
        "human": "Say who.",
        "expression": "%resource.subject.exists() or text = 'none'",
    }
    p = profile("Observation", {"path": "Observation.code", "constraint": [rule]})
    assert findings(observation(subject={"reference": "Patient/1"}), p) == []
    found = findings(observation(), p)
    assert [(one.severity, one.code, one.text) for one in found] == [
        (
            "error",
            "invariant",
            "Constraint failed: x-1: 'Say who.' (defined in http://x.org/p). Change the element so that this holds.",
        )
    ]
    broken = profile("Observation", {"path": "Observation.code", "constraint": [{**rule, "expression": "text = ("}]})
    assert [(one.severity, one.message_id) for one in findings(observation(), broken)] == [
        ("warning", "invariant-unusable")
    ]


def test_a_profile_that_asks_about_itself_comes_to_an_end(findings: Any) -> None:
    rules = [
        {"key": f"x-{number}", "severity": "error", "human": "h", "expression": "conformsTo('http://x.org/p')"} for number in range(3)
    ]  # fmt: skip
    p = profile("Patient", {"path": "Patient", "constraint": rules}, {"path": "Patient.name", "min": 1})
    assert findings({"resourceType": "Patient", "name": [{}]}, p) == []
    assert said(findings({"resourceType": "Patient"}, p)) == [("minimum", "Patient")]


def test_extensions_are_checked_wherever_they_are(findings: Any) -> None:
    e = extension("e", {"path": "Extension.value[x]", "type": [{"code": "string"}], "min": 1})
    p = profile("Patient", {"path": "Patient.extension", "sliceName": "e", "min": 1,
                            "type": [{"code": "Extension", "profile": [e["url"]]}]})  # fmt: skip
    one = {"url": e["url"], "valueString": "x"}
    assert (
        findings({"resourceType": "Patient", "extension": [one], "name": [{"_family": {"extension": [one]}}]}, p, e)
        == []
    )
    assert said(findings({"resourceType": "Patient"}, p, e)) == [("slice-minimum", "Patient")]
    deep = {"resourceType": "Patient", "extension": [one], "name": [{"_family": {"extension": [{"url": e["url"]}]}}]}
    assert said(findings(deep, p, e)) == [("minimum", "Patient.name[0].family.extension[0]")]
    unknown = {"resourceType": "Patient", "extension": [one, {"url": "http://x.org/u", "valueString": "x"}]}
    assert [(found.severity, found.message_id) for found in findings(unknown, p, e)] == [
        ("information", "extension-unknown")
    ]


def test_extensions_stand_where_their_definition_allows(findings: Any) -> None:
    def context(kind: str, expression: str) -> Json:
        return extension("e", context=[{"type": kind, "expression": expression}])

    nothing = profile("Patient")
    one = {"url": "http://x.org/e", "valueString": "x"}
    resource = {"resourceType": "Patient", "name": [{"extension": [one]}]}
    for kind, expression in [
        ("element", "Patient.name"), ("element", "HumanName"), ("element", "Element"), ("fhirpath", "Patient.name"),
    ]:  # fmt: skip
        assert findings(resource, nothing, context(kind, expression)) == []
    for kind, expression in [("element", "Patient"), ("element", "Address"), ("extension", "http://x.org/f")]:
        found = findings(resource, nothing, context(kind, expression))
        assert said(found) == [("extension-context", "Patient.name[0].extension[0]")]
    assert "this element is Patient.name; allowed = http://x.org/f" in found[0].text


def test_modifiers_are_told_from_other_extensions(findings: Any) -> None:
    modifier = extension("m", {"path": "Extension", "isModifier": True})
    plain, nothing = extension("e"), profile("Patient")

    def of(member: str, name: str) -> Json:
        return {"resourceType": "Patient", member: [{"url": f"http://x.org/{name}", "valueString": "x"}]}

    assert findings(of("modifierExtension", "m"), nothing, modifier) == []
    assert said(findings(of("extension", "m"), nothing, modifier)) == [("extension-modifier", "Patient.extension[0]")]
    found = findings(of("modifierExtension", "e"), nothing, plain)
    assert said(found) == [("extension-no-modifier", "Patient.modifierExtension[0]")]
    found = findings(of("modifierExtension", "u"), nothing)
    assert [(one.severity, one.message_id) for one in found] == [("warning", "modifier-unknown")]


def test_type_profiles_and_profiles_of_contained_resources(findings: Any) -> None:
    short = profile("HumanName", {"path": "HumanName.family", "min": 1}, name="short", kind="complex-type")
    p = profile("Patient", {"path": "Patient.name", "type": [{"code": "HumanName", "profile": [short["url"]]}]})
    assert findings({"resourceType": "Patient", "name": [{"family": "x"}]}, p, short) == []
    found = findings({"resourceType": "Patient", "name": [{"family": "x"}, {"text": "y"}]}, p, short)
    assert said(found) == [("minimum", "Patient.name[1]")]
    assert findings({"resourceType": "Patient", "name": [{}]}, p)[0:] == []  # not installed: nothing to say


def test_one_of_several_profiles_suffices(findings: Any) -> None:
    family = profile("HumanName", {"path": "HumanName.family", "min": 1}, name="family", kind="complex-type")
    text = profile("HumanName", {"path": "HumanName.text", "min": 1}, name="text", kind="complex-type")
    p = profile(
        "Patient", {"path": "Patient.name", "type": [{"code": "HumanName", "profile": [family["url"], text["url"]]}]}
    )
    assert findings({"resourceType": "Patient", "name": [{"family": "x"}, {"text": "y"}]}, p, family, text) == []
    found = findings({"resourceType": "Patient", "name": [{"use": "usual"}]}, p, family, text)
    assert said(found) == [("no-profile-fits", "Patient.name[0]")]


def test_declared_profiles_of_the_resource_and_those_in_it_are_checked(definitions: Definitions) -> None:
    named = profile("Patient", {"path": "Patient.name", "min": 1})
    validator = ProfileValidator(Source(definitions, resources=[named]))
    patient = {"resourceType": "Patient", "id": "a", "meta": {"profile": [named["url"]]}}
    assert said(validator.check(patient)) == [("minimum", "Patient")]
    assert validator.check(patient, declared=False) == []
    assert said(validator.check(observation(contained=[patient]))) == [
        ("minimum", "Observation.contained[0]/*Patient/a*/")
    ]
    assert said(validator.check(bundle({"resource": patient}))) == [
        ("minimum", "Bundle.entry[0].resource/*Patient/a*/")
    ]
    other = {"resourceType": "Patient", "meta": {"profile": ["http://x.org/unknown", f"{named['url']}|9"]}}
    found = validator.check(other)
    assert [(one.severity, one.message_id) for one in found] == [("warning", "profile-unknown")] * 2
    wrong = validator.check({"resourceType": "Group", "meta": {"profile": [named["url"]]}})
    assert said(wrong) == [("profile-type", "Group")]


def test_must_support_is_told_where_it_is_wanted(findings: Any) -> None:
    p = profile("Patient", {"path": "Patient.gender", "mustSupport": True}, {"path": "Patient.name", "min": 1})
    assert findings({"resourceType": "Patient", "name": [{}]}, p) == []
    found = findings({"resourceType": "Patient"}, p, must_support=True)
    assert [(one.severity, one.message_id) for one in found] == [("error", "minimum"), ("information", "must-support")]


def test_the_same_findings_come_in_the_same_order(findings: Any) -> None:
    p = profile(
        "Patient",
        {"path": "Patient.gender", "min": 1},
        {"path": "Patient.name", "max": "0"},
        {"path": "Patient.active", "min": 1},
    )
    resource = {"resourceType": "Patient", "name": [{}]}
    assert [one.text.partition(":")[0] for one in findings(resource, p)] == [
        "Patient.active",
        "Patient.name",
        "Patient.gender",
    ]


def test_what_is_of_a_wrong_form_is_left_to_the_check_of_every_write(findings: Any) -> None:
    p = profile(
        "Patient", {"path": "Patient.name.family", "min": 1}, sliced("Patient.identifier", "value", "system"),
        {"path": "Patient.identifier", "sliceName": "a"}, {"path": "Patient.identifier.system", "fixedUri": "a", "min": 1},
    )  # fmt: skip
    wrong: tuple[Any, ...] = (None, 1, "x", ["x"], {"system": []}, [{"system": {}}], {"family": 1}, [[]], [None])
    for name in wrong:
        for other in wrong:
            findings(
                {
                    "resourceType": "Patient",
                    "name": name,
                    "identifier": other,
                    "meta": 1,
                    "contained": "x",
                    "extension": {},
                },
                p,
            )
