"""Patient/$match: who of the Patients that the caller may see is probably this person (R4 Patient-match; docs/identity.md)."""

from dataclasses import replace
from typing import Any

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.identity import traits
from fhir_server.identity.evidence import Grade, Verdict
from fhir_server.model import ids, json
from fhir_server.model.errors import BadRequest
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Hit
from fhir_server.operations import Operation, parameters
from fhir_server.repository.likely import likely
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
MOST = 100
GIVEN = "Parameters.parameter.where(name = 'resource').resource"

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Patient-match",
    code="match",
    resource=("Patient",),
    system=False,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("resource", "in", 1, 1, "Resource"),
        OperationParameter("onlyCertainMatches", "in", 0, 1, "boolean"),
        OperationParameter("count", "in", 0, 1, "integer"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def match(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset of Patients, the likeliest first, each with its score and grade.

    Raises:
        BadRequest: The parameters, or the Patient in them, are not valid, or say too little to look for anybody.
        Forbidden: The caller may search Patients but not read them.
    """
    asked = parameters.read(ctx, DEFINITION)
    patient = _checked(ctx, asked["resource"][0])
    count = int(asked["count"][0]) if asked["count"] else MOST
    if not 1 <= count <= MOST:
        raise BadRequest(f"count is {count}; it is from 1 to {MOST}.", expression="http.count")
    ctx.repository.rights.require(["Patient"], "r")
    found = await likely(ctx.repository, patient)
    issues: list[Issue] = []
    if asked["onlyCertainMatches"] == (True,):
        found = [one for one in found if one[1].grade is Grade.CERTAIN]
        if len(found) > 1:
            issues, found = [_ambiguous(len(found))], []
    entries: answer.Pieces = []
    footprint = ctx.repository.footprint
    for stored, verdict in found[:count]:
        if footprint:
            footprint.touch("Patient", stored.id, stored.vid, {"p": stored.id})
        hit = Hit(stored.resource_type, stored.id, stored.body, stored.envelope)
        entries += answer.search_entries(ctx.base, [hit], _search(verdict))
    if issues:
        entries += answer.outcome_entry(json.encode(outcome(issues)))
    links = [("self", f"{ctx.base}/Patient/$match")]
    body = answer.resource_bundle("searchset", links, entries, total=len(found[:count]))
    return FhirResponse(200, {}, body)


def _checked(ctx: Context, patient: Any) -> dict[str, Any]:
    """Return the Patient that is looked for, as it would be stored.

    Raises:
        BadRequest: It is no valid Patient, or says neither name nor identifier nor telephone number nor e-mail address.
    """
    if not isinstance(patient, dict) or patient.get("resourceType") != "Patient":
        raise BadRequest("The resource to match is a Patient.", expression=f"{GIVEN}.resourceType")
    try:
        resource = ctx.repository.intake.draft("Patient", ids.new(), patient).resource
    except BadRequest as error:
        issues = [replace(one, expression=one.expression.replace("Patient", GIVEN, 1)) for one in error.issues]
        raise BadRequest("The Patient to match is not valid.", issues=issues) from error
    if not traits.of(resource).tell:
        raise BadRequest(
            "The Patient says too little to look for anybody. Give a name, an identifier with its system, a telephone number or "
            "an e-mail address.",
            expression=GIVEN,
        )
    return resource


def _search(verdict: Verdict) -> bytes:
    grade = {"url": GRADE, "valueCode": verdict.grade.value}
    return json.encode({"extension": [grade], "mode": "match", "score": verdict.score})


def _ambiguous(count: int) -> Issue:
    return Issue(
        "warning",
        "multiple-matches",
        f"{count} Patients are certain matches, so none is returned as the one. Ask without onlyCertainMatches to see them; "
        "link or merge them if they are one person.",
        message_id="match-ambiguous",
    )


OPERATION = Operation(
    DEFINITION,
    match,
    letters=("s",),
    methods=("POST",),
    summary="Find the Patients that are probably this person",
    success=((200, "A searchset Bundle; each entry has its score and match-grade."),),
)
