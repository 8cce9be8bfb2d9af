"""Bundles as wholes: full URLs, links, results of searches, and references that must lead to an entry."""

from typing import Any

import pytest

from profiles.issue import Issue
from profiles.validate.packs.messages import MESSAGES, REFUSED
from profiles.validate.validator import Validator

Json = dict[str, Any]

BASE = "http://example.org/fhir"
URN = "urn:uuid:6f1f4c1e-0d3a-4b6e-9f43-0d0a6c2f8a1"


def found(validator: Validator, resource: Json, *, strict: bool = True) -> list[tuple[str, str]]:
    """Return (message, place) of what the rules of Bundle find."""
    return [(one.message_id, one.expression) for one in issues(validator, resource, strict=strict)]


def issues(validator: Validator, resource: Json, *, strict: bool = True) -> list[Issue]:
    return [one for one in validator.check(resource, strict=strict) if one.fails or one.message_id in MESSAGES]


def entry(resource_type: str, resource_id: str = "", url: str = "", **members: Any) -> Json:
    resource = {"resourceType": resource_type, **({"id": resource_id} if resource_id else {}), **members}
    return {"fullUrl": url or f"{BASE}/{resource_type}/{resource_id}", "resource": resource}


def patient(resource_id: str = "1", url: str = "", **members: Any) -> Json:
    return entry("Patient", resource_id, url, **members)


def composition(url: str = "", **members: Any) -> Json:
    stated = {"status": "final", "type": {"text": "x"}, "date": "2020", "author": [{"display": "x"}], "title": "x"}
    return entry("Composition", "1", url, **stated | members)


def document(*entries: Json, **members: Any) -> Json:
    return {
        "resourceType": "Bundle",
        "type": "document",
        "timestamp": "2020-01-01T10:00:00Z",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:6f1f4c1e-0d3a-4b6e-9f43-0d0a6c2f8a11"},
        "entry": list(entries),
        **members,
    }


def message(*entries: Json) -> Json:
    header = entry("MessageHeader", "1", eventUri="urn:x", source={"endpoint": "urn:y"}, focus=[to("Patient/1")])
    return {"resourceType": "Bundle", "type": "message", "entry": [header, *entries]}


def collection(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}


def searchset(*entries: Json, link: str = "") -> Json:
    links = {"link": [{"relation": "self", "url": link}]} if link else {}
    return {"resourceType": "Bundle", "type": "searchset", **links, "entry": list(entries)}


def to(reference: str) -> Json:
    return {"reference": reference}


def mode(code: str, one: Json) -> Json:
    return {**one, "search": {"mode": code}}


def without(name: str, one: Json) -> Json:
    return {key: value for key, value in one.items() if key != name}


OUTCOME = entry("OperationOutcome", url="urn:uuid:1", issue=[{"severity": "warning", "code": "value"}])
ABOUT: Json = {"subject": to("Patient/1")}

WRONG: list[tuple[str, str, Json]] = [
    ("full-url-relative", "entry[0].fullUrl", collection(patient(url="Patient/1"))),
    ("full-url-end", "entry[0].fullUrl", collection(patient(url=f"{BASE}/Patient/2"))),
    ("full-url-end", "entry[0].fullUrl", collection(patient(url=f"{BASE}/Group/1"))),
    ("full-url-without-id", "entry[0].fullUrl", collection(patient("", f"{BASE}/Patient/2"))),
    ("full-url-missing", "entry[0]", collection(without("fullUrl", patient()))),
    ("full-url-required", "entry[0]", document(without("fullUrl", composition()))),
    ("link-repeated", "link", {**collection(patient()), "link": [{"relation": "self", "url": "urn:a"}] * 2}),
    ("link-prohibited", "link", document(composition(), link=[{"relation": "next", "url": "urn:a"}])),
    ("match-without-id", "entry[0].resource", searchset(mode("match", patient("", URN)))),
    ("match-type", "entry[0].resource", searchset(mode("match", patient()), link=f"{BASE}/Observation?code=x")),
    ("match-type", "entry[0].resource", searchset(mode("match", patient()), link=f"{BASE}?_type=Group,Observation")),
    ("outcome-type", "entry[0].resource", searchset(mode("outcome", patient()))),
    ("reference-outside", "entry[0].resource/*Composition/1*/.subject", document(composition(**ABOUT))),
    ("reference-outside", "entry[0].resource/*Composition/1*/.section[0].entry[0]", document(composition(section=[{"entry": [to("Group/1")]}]))),
    ("reference-outside", "entry[0].resource/*Composition/1*/.author[0]", document(composition(author=[to("http://elsewhere.example/Patient/1")]))),
    ("reference-beside", "entry[1].resource/*Patient/1*/.managingOrganization", document(composition(section=[{"entry": [to("http://other.example/Organization/1")]}], **ABOUT), patient(managingOrganization=to("Organization/1")), entry("Organization", "1", "http://other.example/Organization/1", name="x"))),
    ("reference-beside-collection", "entry[0].resource/*Patient/1*/.managingOrganization", collection(patient(managingOrganization=to("Organization/1")), entry("Organization", "1", "http://other.example/Organization/1", name="x"))),
    ("entry-unreachable", "entry[1]", document(composition(), patient())),
    ("entry-unreachable-message", "entry[2]", message(patient(), entry("Basic", "1", code={"text": "x"}))),
    ("entry-backward", "entry[2]", document(composition(**ABOUT), patient(), entry("Basic", "1", code={"text": "x"}, **ABOUT))),
]  # fmt: skip

ASKED_ONLY = {"reference-beside-collection"}
"""What takes too long to be told of on a write."""

RIGHT: list[Json] = [
    collection(patient(), patient("2"), patient("", URN), patient(url="urn:oid:1.2.3")),
    collection(patient(url="http://example.org/anything"), patient("2", "https://example.org/Patients/1")),
    collection(patient(generalPractitioner=[to("Practitioner/1")])),
    searchset(mode("outcome", without("fullUrl", OUTCOME)), link=f"{BASE}/Patient?name=x"),
    searchset(mode("match", patient()), mode("include", entry("Group", "1", type="person", actual=False)), link=f"{BASE}/Patient?name=x"),
    searchset(mode("match", patient()), link=f"{BASE}/Patient/1/$everything"),
    searchset(mode("match", patient()), link="http://[broken"),
    document(composition(**ABOUT), patient()),
    document(composition(subject=to(f"{BASE}/Patient/1")), patient()),
    document(composition(subject=to("Patient/1/_history/2")), patient(meta={"versionId": "2"})),
    document(composition("urn:uuid:1", subject=to("urn:uuid:2")), patient("", "urn:uuid:2")),
    document(composition(**ABOUT), patient(), entry("Provenance", "1", target=[to("Composition/1")], recorded="2020-01-01T10:00:00Z", agent=[{"who": to("Patient/1")}])),
    document(composition(relatesTo=[{"code": "replaces", "targetReference": to("Composition/0")}])),
    document(composition(**ABOUT), patient(managingOrganization=to("Organization/1")), entry("Organization", "1", name="x")),
    message(patient()),
    message(patient(managingOrganization=to("Organization/elsewhere"))),
]  # fmt: skip


@pytest.mark.parametrize(("message_id", "place", "resource"), WRONG)
def test_what_is_wrong_is_found_where_it_is(validator: Validator, message_id: str, place: str, resource: Json) -> None:
    assert found(validator, resource) == [(message_id, f"Bundle.{place}")]


@pytest.mark.parametrize("resource", RIGHT)
def test_what_is_right_passes(validator: Validator, resource: Json) -> None:
    assert found(validator, resource) == []


def test_every_message_is_tested() -> None:
    of_bundles = {name for name in MESSAGES if name.startswith(("full-url", "link-", "match-", "reference-", "entry-"))}
    assert of_bundles <= {message_id for message_id, _, _ in WRONG}


@pytest.mark.parametrize(("message_id", "_place", "resource"), WRONG)
def test_a_write_is_refused_for_what_published_examples_keep(
    validator: Validator, message_id: str, _place: str, resource: Json
) -> None:
    severity = MESSAGES[message_id].severity
    (asked,) = issues(validator, resource)
    written = [one.severity for one in issues(validator, resource, strict=False)]
    assert asked.severity == severity
    assert written == ([severity] if message_id in REFUSED else ["warning"] if message_id not in ASKED_ONLY else [])


def test_the_sentence_tells_which_entry_was_meant(validator: Validator) -> None:
    composed = composition("urn:uuid:1", subject=to("Patient/1"), author=[to("urn:uuid:2")])
    (issue,) = issues(validator, document(composed, patient(url="urn:uuid:2")))
    assert issue.text == (
        "Can't find 'Patient/1' in the bundle (Composition.subject): a document must hold what it refers to here. Entry 1 has "
        "that type and id, but its fullUrl 'urn:uuid:2' does not match from the source fullUrl 'urn:uuid:1'. Add an entry for it, "
        "or correct the reference."
    )


def test_a_bundle_that_is_malformed_besides_gets_its_other_findings(validator: Validator) -> None:
    damages: list[Json] = [
        {"entry": ["x", {"fullUrl": 5, "resource": []}]},
        {"entry": {}},
        {"link": ["x"], "entry": [{}]},
    ]
    for damaged in damages:
        assert any(one.fails for one in validator.check({"resourceType": "Bundle", "type": "document", **damaged}))


def test_a_large_document_takes_time_that_grows_with_its_size_only(validator: Validator) -> None:
    many = [entry("Basic", str(number), code={"text": "x"}, **ABOUT) for number in range(2000)]
    section = [{"entry": [to(f"Basic/{number}") for number in range(2000)]}]
    assert found(validator, document(composition(section=section, **ABOUT), patient(), *many)) == []
