"""Organization/[network]/$invite: offer a facility to become a member, by an agreement that both sides accept (docs/hierarchy.md)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.facilities import nodes
from fhir_server.facilities.agreement import ROLLUPS, TREATMENT, Agreement
from fhir_server.facilities.nodes import Affiliation
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.membership import AFFILIATION, TASK, invite
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}invite",
    code="invite",
    resource=("Organization",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("facility", "in", 1, 1, "Reference"),
        OperationParameter("treatmentAccess", "in", 0, 1, "code"),
        OperationParameter("rollup", "in", 0, 1, "code"),
        OperationParameter("directory", "in", 0, 1, "boolean"),
        OperationParameter("emergency", "in", 0, 1, "boolean"),
        OperationParameter("exportRecipients", "in", 0, None, "Reference"),
        OperationParameter("residency", "in", 0, 1, "code"),
        OperationParameter("end", "in", 0, 1, "dateTime"),
        OperationParameter("affiliation", "out", 1, 1, "Reference"),
        OperationParameter("task", "out", 1, 1, "Reference"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 201 with references to the membership, which is not in force, and to the task of the facility.

    Raises:
        BadRequest: A parameter is not valid.
        Forbidden: The caller does not speak for the network.
        Conflict: There is such a membership or invitation, or the agreement contradicts another one.
        Unprocessable: The membership would break a rule of the hierarchy.
    """
    values = parameters.read(ctx, DEFINITION)
    base = ctx.repository.intake.reading.base
    recipients = frozenset(_organization(one, "exportRecipients", base) for one in values["exportRecipients"])
    agreement = Agreement(
        _word(values, "treatmentAccess", TREATMENT),
        _word(values, "rollup", ROLLUPS),
        directory=_flag(values, "directory"),
        emergency=_flag(values, "emergency"),
        export_recipients=recipients,
        residency=next(iter(values["residency"]), ""),
    )
    member = _organization(values["facility"][0], "facility", base)
    end = {"end": values["end"][0]} if values["end"] else None
    wanted = Affiliation(
        "", ctx.id, member, end=nodes.span(end, ctx.repository.intake.reading.zone)[1], agreement=agreement
    )
    invited = await invite(ctx.repository, wanted)
    rows = [
        ("affiliation", "Reference", {"reference": f"{AFFILIATION}/{invited.affiliation.id}"}),
        ("task", "Reference", {"reference": f"{TASK}/{invited.task.id}"}),
    ]
    location = f"{ctx.base}/{AFFILIATION}/{invited.affiliation.id}"
    return FhirResponse(201, {"Location": location}, json.encode(parameters.resource(rows)))


def _organization(value: Any, name: str, base: str) -> str:
    found = nodes.target(value, base)
    if not found:
        raise BadRequest(
            f"'{name}' is a reference to an Organization of this server, such as Organization/clinic.",
            expression=f"http.{name}",
        )
    return found


def _word(values: parameters.Values, name: str, words: tuple[Any, ...]) -> Any:
    found = next(iter(values[name]), words[0])
    if found not in words:
        raise BadRequest(f"'{found[:40]}' is no {name}. It is one of {', '.join(words)}.", expression=f"http.{name}")
    return found


def _flag(values: parameters.Values, name: str) -> bool:
    return bool(next(iter(values[name]), False))


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="Offer a facility to become a member of a network",
    success=((201, "References to the membership, which is not in force, and to the task of the facility."),),
)
