"""What is checked in a resource whatever profiles it has: codings, attachments, links, extensions; and what strictness adds."""

import base64
from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from tests.profiles.validate.profile.samples import Json, bundle, concept, extension, observation, profile, said

XHTML = "http://www.w3.org/1999/xhtml"
GENDER = "http://hl7.org/fhir/administrative-gender"


@pytest.fixture
def found(definitions: Definitions, engine: Engine) -> Any:
    def check(resource: Json, *given: Json, strict: bool = False, profiles: tuple[str, ...] = ()) -> list[Issue]:
        validator = ProfileValidator(Source(definitions, resources=given), engine=engine, strict=strict)
        return validator.check(resource, profiles)

    return check


def coded(system: str, code: str, **more: Any) -> Json:
    return {"resourceType": "Basic", "code": {"coding": [{"system": system, "code": code, **more}]}}


CODES: Json = {
    "resourceType": "CodeSystem", "url": "http://x.org/codes", "version": "2", "content": "complete",
    "concept": [{"code": "a", "display": "An A", "concept": [{"code": "b", "designation": [{"value": "Bé"}]}]}],
}  # fmt: skip
AT = "Basic.code.coding[0]"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (coded("http://x.org/codes", "a", display="an  a"), []),
        (coded("http://x.org/codes", "b", display="BÉ"), []),
        (coded("http://x.org/codes", "b", version="1", display="x"), []),
        (coded("http://x.org/others", "c"), []),
        (coded("http://x.org/codes", "c"), [("code-unknown", f"{AT}.code")]),
        (coded("http://x.org/codes", "a", display="B"), [("display", f"{AT}.display")]),
        (coded("codes", "a"), [("coding-relative", f"{AT}.system")]),
        (
            coded("http://hl7.org/fhir/ValueSet/administrative-gender", "male"),
            [("coding-value-set", f"{AT}.system")],
        ),
        (coded(GENDER, "man"), [("code-unknown", f"{AT}.code")]),
    ],
)
def test_codings_are_of_their_code_system(found: Any, resource: Json, expected: list[tuple[str, str]]) -> None:
    assert said(found(resource, CODES)) == expected


def test_a_supplement_is_no_code_system(found: Any) -> None:
    supplement = {**CODES, "supplements": "http://x.org/others"}
    assert said(found(coded("http://x.org/codes", "a"), supplement)) == [("coding-supplement", f"{AT}.system")]


def test_upper_and_lower_case_are_the_same_where_the_code_system_says_so(found: Any) -> None:
    assert said(found(coded("http://x.org/codes", "A"), {**CODES, "caseSensitive": False})) == []
    assert said(found(coded("http://x.org/codes", "A"), CODES)) == [("code-unknown", f"{AT}.code")]


def test_a_display_that_the_value_set_of_the_element_gives_is_valid(found: Any) -> None:
    own = {"resourceType": "ValueSet", "id": "own", "expansion": {"contains": [
        {"system": "http://x.org/codes", "code": "a", "display": "Ours"}, {"system": "http://x.org/codes", "code": "b"}]}}  # fmt: skip
    p = profile(
        "Basic", {"path": "Basic.code", "binding": {"strength": "required", "valueSet": "#own"}}, contained=[own]
    )
    assert said(found(coded("http://x.org/codes", "a", display="Ours"), p, CODES, profiles=(p["url"],))) == []
    unknown = found(coded("http://x.org/codes", "c"), p, CODES, profiles=(p["url"],))
    assert said(unknown) == [("binding-required", "Basic.code"), ("code-unknown", f"{AT}.code")]


def media(**more: Any) -> Json:
    data = base64.b64encode(b"hello").decode()
    return {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"display": "x"},
        "content": {"data": data, **more},
    }


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (media(size=5, hash="qvTGHdzF6KLavt4PO0gs2a6pQ00="), []),
        (media(size=6), ["attachment-size"]),
        (media(hash="qvTGHdzF6KLavt4PO0gs2a6pQ0A="), ["attachment-hash"]),
        (media(hash="5d41402abc4b2a76b9719d911017c592"), []),
    ],
)
def test_attachments_are_what_they_say(found: Any, resource: Json, expected: list[str]) -> None:
    assert [one.message_id for one in found(resource)] == expected


def test_links_in_narratives_lead_somewhere(found: Any) -> None:
    def told(link: str, strict: bool = False) -> list[tuple[str, str]]:
        div = f'<div xmlns="{XHTML}"><p id="p">x</p><a href="{link}">y</a></div>'
        resource = {
            "resourceType": "Basic", "text": {"status": "generated", "div": div}, "code": {"id": "c", "text": "z"},
            "contained": [{"resourceType": "Basic", "id": "inner", "code": {"text": "z"}}],
        }  # fmt: skip
        return [(one.message_id, one.severity) for one in found(resource, strict=strict)]

    for link in ("#p", "#c", "#inner", "http://x.org#y"):
        assert told(link) == []
    assert told("#none") == [("link", "warning")]
    assert told("#none", strict=True) == [("link-error", "error")]


def test_urls_of_extensions_are_absolute(found: Any) -> None:
    inner = {"url": "http://example.org/e", "extension": [{"url": "short", "valueString": "x"}]}
    resource = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "extension": [inner, {"url": "short", "valueCode": "x"}],
    }
    ids = [one.message_id for one in found(resource) if one.fails]
    assert ids == ["extension-relative"]


def test_a_context_may_name_an_element_of_a_data_type_or_every_element(found: Any) -> None:
    def of(context: str) -> list[str]:
        e = extension("e", context=[{"type": "element", "expression": context}])
        row = {"url": "http://x.org/e", "valueString": "x"}
        resource = {"resourceType": "Patient", "name": [{"family": "F", "_family": {"extension": [row]}}]}
        return [one.message_id for one in found(resource, e)]

    for context in ("HumanName.family", "Patient.name.family", "Element", "string"):
        assert of(context) == []
    assert of("HumanName.given") == ["extension-context"]


def test_strictness_refuses_what_r4_leaves_open(found: Any) -> None:
    unknown = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "extension": [{"url": "http://x.org/u", "valueCode": "x"}],
    }
    nobody = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "extension": [{"url": "http://example.org/u", "valueCode": "x"}],
    }
    uncoded = {**observation(), "_status": {"extension": [{"url": "http://example.org/u", "valueCode": "x"}]}}
    del uncoded["status"]
    weight = {**observation(), "code": concept("29463-7")}
    for resource, told in ((unknown, "extension-unknown-error"), (uncoded, "code-missing"), (weight, "minimum")):
        assert not any(one.fails for one in found(resource)), told
        assert told in {one.message_id for one in found(resource, strict=True) if one.fails}
    assert not any(one.fails for one in found(nobody, strict=True))
    assert any(one.fails for one in found(coded("http://x.org/codes", "a", display="B"), CODES, strict=True))


def test_a_guide_may_profile_all_resources_of_a_type(found: Any) -> None:
    p = profile("Basic", {"path": "Basic.subject", "min": 1})
    guide = {
        "resourceType": "ImplementationGuide",
        "url": "http://x.org/ig",
        "global": [{"type": "Basic", "profile": p["url"]}],
    }
    assert said(found(coded("http://x.org/codes", "a"), p, guide)) == []
    assert said(found(coded("http://x.org/codes", "a"), p, guide, strict=True)) == [("minimum", "Basic")]


@pytest.mark.parametrize(
    ("rule", "language", "expected"),
    [
        ("_no", "en", "languages-prohibited"), ("_yes", "en", ""), ("_resource", "en", ""),
        ("_resource", "fr", "language-missing"), ("de", "en", ""), ("it", "en", "language-missing"),
    ],
)  # fmt: skip
def test_a_profile_may_rule_the_languages_of_a_narrative(found: Any, rule: str, language: str, expected: str) -> None:
    control = {"url": "http://hl7.org/fhir/StructureDefinition/narrative-language-control", "valueCode": rule}
    p = profile("Basic", {"path": "Basic.text", "extension": [control]})
    div = f'<div xmlns="{XHTML}"><div lang="en">x</div><div xml:lang="de" lang="de">y</div></div>'
    resource = {
        "resourceType": "Basic", "language": language, "text": {"status": "generated", "div": div}, "code": {"text": "x"},
    }  # fmt: skip
    assert [one.message_id for one in found(resource, p, profiles=(p["url"],))] == ([expected] if expected else [])
    if rule == "_yes":
        resource["text"] = {"status": "generated", "div": f'<div xmlns="{XHTML}">x</div>'}
        assert said(found(resource, p, profiles=(p["url"],))) == [("languages-required", "Basic.text")]


def test_a_profile_may_ask_for_a_value_or_name_what_may_stand_for_it(found: Any) -> None:
    r5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."
    absent = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    must = profile(
        "Patient", {"path": "Patient.active", "extension": [{"url": f"{r5}mustHaveValue", "valueBoolean": True}]}
    )
    row = {"url": f"{r5}valueAlternatives", "valueCanonical": absent}
    either = profile("Patient", {"path": "Patient.active", "extension": [row]}, name="either")
    without = {"resourceType": "Patient", "_active": {"extension": [{"url": absent, "valueCode": "unknown"}]}}
    other = {"resourceType": "Patient", "_active": {"extension": [{"url": "http://example.org/o", "valueCode": "x"}]}}
    assert said(found(without, must, profiles=(must["url"],))) == [("value-missing", "Patient.active")]
    assert said(found(without, either, profiles=(either["url"],))) == []
    assert "value-missing" in {one.message_id for one in found(other, either, profiles=(either["url"],))}
    assert said(found({"resourceType": "Patient", "active": True}, must, profiles=(must["url"],))) == []


def test_a_part_of_a_version_means_the_versions_that_begin_with_it(found: Any) -> None:
    p = profile("Basic", {"path": "Basic.subject", "min": 1}, version="0.2.1")
    q = profile("Basic", version="0.1.3")
    resource = {**coded("http://x.org/codes", "a"), "meta": {"profile": [f"{p['url']}|0.2"]}}
    assert said(found(resource, q, p)) == [("minimum", "Basic")]


def test_constraints_on_a_resource_in_a_resource_are_met_in_it(found: Any) -> None:
    rule = {
        "key": "c-1",
        "severity": "error",
        "human": "h",
        "expression": "%resource is Practitioner and %rootResource is Patient",
    }
    p = profile("Patient", {"path": "Patient.contained", "type": [{"code": "Practitioner"}]},
        {"path": "Patient.contained.name", "constraint": [rule]})  # fmt: skip
    resource = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"text": "x"}]}],
    }
    assert said(found(resource, p, profiles=(p["url"],))) == []


def test_a_profile_that_goes_into_what_refers_to_an_element_says_all_of_it_there(found: Any) -> None:
    p = profile("Parameters", {"path": "Parameters.parameter.name", "fixedString": "outer"},
        {"path": "Parameters.parameter.part", "slicing": {"discriminator": [{"type": "value", "path": "name"}], "rules": "open"}},
        {"path": "Parameters.parameter.part", "sliceName": "in", "min": 1},
        {"path": "Parameters.parameter.part.name", "fixedString": "inner"})  # fmt: skip
    part = {"name": "inner", "valueString": "x"}
    resource = {"resourceType": "Parameters", "parameter": [{"name": "outer", "part": [part]}]}
    assert said(found(resource, p, profiles=(p["url"],))) == []


def test_uuids_and_oids_are_what_they_say(found: Any) -> None:
    def told(url: str) -> list[tuple[str, str]]:
        resource = {
            "resourceType": "ValueSet",
            "status": "draft",
            "url": url,
            "compose": {"include": [{"valueSet": [url]}]},
        }
        return said(found(resource, strict=True))

    at = [("uri-form", "ValueSet.url"), ("uri-form", "ValueSet.compose.include[0].valueSet[0]")]
    for fine in (
        "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        "urn:oid:1.2.3",
        "urn:ietf:rfc:3986",
        "http://x.org|1",
    ):
        assert told(fine) == []
    for wrong in ("urn:uuid:C757873D-ec9a-4326-a141-556f43239520", "urn:uuid:1", "urn:oid:1.x", "oid:1.2.3"):
        assert told(wrong) == at


def test_elements_have_ids_of_their_own(found: Any) -> None:
    resource = {
        "resourceType": "Basic",
        "id": "a",
        "code": {"id": "a", "coding": [{"id": "b", "code": "c"}, {"id": "b", "code": "d"}]},
    }
    assert said(found(resource, strict=True)) == [("id-duplicate", "Basic.code.coding[1]")]
    assert said(found(resource)) == []


def test_a_report_has_the_groups_of_its_measure(found: Any) -> None:
    def group(code: str, *populations: str) -> Json:
        return {"code": {"text": code}, "population": [{"code": concept(one, "urn:x")} for one in populations]}

    def report(*groups: Json) -> list[tuple[str, str]]:
        resource = {"resourceType": "MeasureReport", "measure": "http://x.org/m|1", "group": list(groups)}
        return said(found(resource, measure, strict=True))

    measure = {"resourceType": "Measure", "url": "http://x.org/m", "group": [group("a", "p", "q"), group("b", "p")]}
    assert report(group("a", "q"), group("b", "p")) == []
    assert report(group("a", "r"), group("b")) == [("report-part", "MeasureReport.group[0].population[0]")]
    assert report(group("a"), group("c")) == [
        ("report-group", "MeasureReport.group[1]"),
        ("report-group-missing", "MeasureReport"),
    ]


@pytest.mark.parametrize(
    "around",
    [
        lambda row: {"resourceType": "Patient", "extension": [row]},
        lambda row: {"resourceType": "Patient", "name": [{"family": "A", "extension": [row]}]},
        lambda row: {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"extension": [row]}},
        lambda row: {
            "resourceType": "Patient",
            "name": [{"given": ["A", "B"], "_given": [None, {"extension": [row]}]}],
        },
        lambda row: observation(valueQuantity={"value": 1, "extension": [row]}),
        lambda row: {"resourceType": "Patient", "contained": [{"resourceType": "Patient", "extension": [row]}]},
        lambda row: bundle({"resource": {"resourceType": "Patient", "extension": [row]}}),
    ],
)
def test_an_extension_may_be_one_of_another_extension_only(found: Any, around: Any) -> None:
    inner = extension("inner", context=[{"type": "extension", "expression": "http://x.org/outer"}])
    row = {"url": "http://x.org/outer", "extension": [{"url": "http://x.org/inner", "valueString": "a"}]}
    assert said(found(around(row), inner, extension("outer"))) == []
    other = {**row, "url": "http://x.org/other"}
    assert [one for one, _ in said(found(around(other), inner, extension("other")))] == ["extension-context"]
