"""$explain-access: who may see a resource and by which rule; why somebody may not (docs/explain-access.md)."""

from collections.abc import Iterator
from typing import Any

from fhir_server.access.officers import require_officer
from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.explaining import Explanation, Reader, explain
from profiles.definitions.model import OperationDefinition, OperationParameter

STEP = (
    OperationParameter("rule", "out", 1, 1, "code"),
    OperationParameter("holds", "out", 1, 1, "boolean"),
    OperationParameter("detail", "out", 0, 1, "string"),
)
READER = (
    OperationParameter("user", "out", 0, 1, "string"),
    OperationParameter("client", "out", 0, 1, "string"),
    OperationParameter("role", "out", 0, 1, "string"),
    OperationParameter("allowed", "out", 1, 1, "boolean"),
    OperationParameter("rule", "out", 0, 1, "code"),
    OperationParameter("failed", "out", 0, 1, "code"),
    OperationParameter("step", "out", 0, None, "", STEP),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}explain-access",
    code="explain-access",
    resource=("Resource",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("user", "in", 0, 1, "string"),
        OperationParameter("client", "in", 0, 1, "string"),
        OperationParameter("custodian", "out", 0, 1, "string"),
        OperationParameter("patient", "out", 0, None, "string"),
        OperationParameter("label", "out", 0, None, "code"),
        OperationParameter("complete", "out", 1, 1, "boolean"),
        OperationParameter("reader", "out", 0, None, "", READER),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the readers, and of those that were asked about also why not.

    Raises:
        Forbidden: The caller is no administrator and no privacy officer.
        NotFound: There is no such resource, or nobody of that name.
    """
    require_officer(ctx.repository.scope)
    values = parameters.read(ctx, DEFINITION)
    user, client = (str(next(iter(values[name]), "")) for name in ("user", "client"))
    found = await explain(ctx.repository, ctx.grants, ctx.resource_type, ctx.id, user=user, client=client)
    return FhirResponse(200, {}, json.encode(parameters.resource(_rows(found))))


def _rows(found: Explanation) -> Iterator[tuple[str, str, Any]]:
    document = found.document
    if document.get("f"):
        yield "custodian", "string", f"Organization/{document['f']}"
    for patient in dict.fromkeys([document.get("p"), *document.get("ps", ())]):
        if patient:
            yield "patient", "string", f"Patient/{patient}"
    for label in document.get("sl", ()):
        yield "label", "code", label
    yield "complete", "boolean", found.complete
    for reader in found.readers:
        yield "reader", "part", [*_reader(reader)]


def _reader(reader: Reader) -> Iterator[tuple[str, str, Any]]:
    who, told = reader.candidate.principal, reader.verdict
    yield ("client" if who.audience == "system" else "user"), "string", reader.candidate.name
    if who.acting_as:
        yield "role", "string", who.acting_as
    yield "allowed", "boolean", told.allowed
    if told.rule:
        yield "rule", "code", told.rule
    if told.failed:
        yield "failed", "code", told.failed
    for step in told.steps:
        detail = [("detail", "string", step.detail)] if step.detail else []
        yield "step", "part", [("rule", "code", step.rule), ("holds", "boolean", step.holds), *detail]


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("", ""),
    methods=("GET", "POST"),
    summary="Who may see a resource and by which rule, and why somebody may not",
    success=((200, "Parameters with the readers and the rules, one by one."),),
)
