"""Patient/{id}/$unlink: a human undoes a link that was wrong, and learns who saw what meanwhile (docs/identity.md)."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import quote

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.operations.link import JOINED, patient, told
from fhir_server.repository import linking, meanwhile
from profiles.definitions.model import OperationDefinition, OperationParameter

SEEN = (
    OperationParameter("when", "out", 1, 1, "instant"),
    OperationParameter("interaction", "out", 1, 1, "code"),
    OperationParameter("user", "out", 0, 1, "string"),
    OperationParameter("client", "out", 0, 1, "string"),
    OperationParameter("role", "out", 0, 1, "string"),
    OperationParameter("facility", "out", 0, 1, "Reference"),
    OperationParameter("patient", "out", 1, None, "Reference"),
    OperationParameter("what", "out", 0, None, "Reference"),
    OperationParameter("type", "out", 0, 1, "code"),
    OperationParameter("query", "out", 0, 1, "string"),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}patient-unlink",
    code="unlink",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        *JOINED,
        OperationParameter("still-linked", "out", 1, 1, "boolean"),
        OperationParameter("trail", "out", 1, 1, "url"),
        OperationParameter("seen-count", "out", 1, 1, "unsignedInt"),
        OperationParameter("seen", "out", 0, None, "", SEEN),
    ),
)


async def unlink(ctx: Context) -> FhirResponse:
    """Return 200 with the two Patients, and how often somebody saw what they joined since the link; the duty `audit` tells who.

    Raises:
        BadRequest: `other` is no reference to a Patient of this server.
        FhirError: See `repository.linking.unlink`.
    """
    other = patient(ctx, "other", parameters.read(ctx, DEFINITION)["other"][0])
    joined = await linking.unlink(ctx.repository, ctx.id, other)
    rows = await meanwhile.seen(ctx.repository, joined.reached, joined.since) if ctx.settings.audited else ()
    since = quote(instant.text(joined.since), safe="")
    whose = ",".join(f"Patient/{one}" for one in sorted(joined.reached))
    answer = [
        *told(joined),
        ("still-linked", "boolean", joined.is_one),
        ("trail", "url", f"{ctx.base}/AuditEvent?patient={whose}&date=ge{since}"),
        ("seen-count", "unsignedInt", len(rows)),
        *(("seen", "part", list(_seen(row))) for row in (rows if _may_know(ctx) else ())),
    ]
    return FhirResponse(200, {}, json.encode(parameters.resource(answer)))


def _may_know(ctx: Context) -> bool:
    scope = ctx.repository.scope
    return scope.principal.audience in {"administrator", "server"} or scope.has_duty("audit")


def _seen(row: Any) -> Iterator[tuple[str, str, Any]]:
    yield "when", "instant", instant.text(row["t"].replace(tzinfo=UTC))
    yield "interaction", "code", row["k"]
    for name, key in (("user", "u"), ("client", "c"), ("role", "w")):
        if key in row:
            yield name, "string", row[key]
    if "f" in row:
        yield "facility", "Reference", {"reference": f"Organization/{row['f']}"}
    whose: Sequence[str] = row["ps"] if "ps" in row else [row["p"]]
    for one in whose:
        yield "patient", "Reference", {"reference": f"Patient/{one}"}
    for entity in row.get("e", ()):
        yield "what", "Reference", {"reference": entity}
    if "rt" in row:
        yield "type", "code", row["rt"]
    if "q" in row:
        yield "query", "string", row["q"]


OPERATION = Operation(
    DEFINITION,
    unlink,
    letters=("",),
    methods=("POST",),
    summary="Undo a link between two Patients that was wrong",
    success=((200, "Parameters with the versions of both Patients, and who saw either record since the link."),),
)
