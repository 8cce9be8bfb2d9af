"""OrganizationAffiliation/[id]/$join-preview: what a membership will change, before anybody accepts it (docs/hierarchy.md)."""

from collections.abc import Iterable
from typing import Any

from fhir_server.context import Context
from fhir_server.facilities.rollup import SMALL
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.preview import Gain, preview
from profiles.definitions.model import OperationDefinition, OperationParameter

GAIN = (
    OperationParameter("access", "out", 1, 1, "code"),
    OperationParameter("organizations", "out", 1, 1, "unsignedInt"),
    OperationParameter("roles", "out", 1, 1, "unsignedInt"),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}join-preview",
    code="join-preview",
    resource=("OrganizationAffiliation",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("network", "out", 1, 1, "Reference"),
        OperationParameter("member", "out", 1, 1, "Reference"),
        OperationParameter("treatmentAccess", "out", 1, 1, "code"),
        OperationParameter("documentsRewritten", "out", 1, 1, "unsignedInt"),
        OperationParameter("patients", "out", 1, 1, "string"),
        OperationParameter("duplicateCandidates", "out", 1, 1, "string"),
        OperationParameter("memberGains", "out", 0, None, "", GAIN),
        OperationParameter("othersGain", "out", 0, None, "", GAIN),
        OperationParameter(
            "conflict",
            "out",
            0,
            None,
            "",
            (OperationParameter("code", "out", 1, 1, "code"), OperationParameter("text", "out", 1, 1, "string")),
        ),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with counts, who gains reach, and what stands against it.

    Raises:
        Forbidden: The caller speaks for neither side.
    """
    parameters.read(ctx, DEFINITION)
    found = await preview(ctx.repository, ctx.id)
    one = found.affiliation
    rows: list[tuple[str, str, Any]] = [
        ("network", "Reference", {"reference": f"Organization/{one.network}"}),
        ("member", "Reference", {"reference": f"Organization/{one.member}"}),
        ("treatmentAccess", "code", one.agreement.treatment_access),
        ("documentsRewritten", "unsignedInt", 0),
        ("patients", "string", _count(found.patients)),
        ("duplicateCandidates", "string", _count(found.duplicates)),
        *_gains("memberGains", found.member),
        *_gains("othersGain", found.others),
        *(
            ("conflict", "part", [("code", "code", each.code), ("text", "string", each.text)])
            for each in found.conflicts
        ),
    ]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _gains(name: str, gains: Iterable[Gain]) -> Iterable[tuple[str, str, Any]]:
    for gain in gains:
        parts = [
            ("access", "code", gain.access),
            ("organizations", "unsignedInt", gain.organizations),
            ("roles", "unsignedInt", gain.roles),
        ]
        yield name, "part", parts


def _count(count: int) -> str:
    return f"fewer than {SMALL}" if count < 0 else str(count)


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="What a membership of a network will change",
    success=((200, "Parameters with counts, who gains reach, and what stands against it."),),
)
