"""$batch-validate-code: many codes in one request, as validators of whole packages ask (HL7 terminology ecosystem)."""

import asyncio
from typing import Any

from msgspec.structs import replace

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, FhirError
from fhir_server.model.outcome import outcome as of_error
from fhir_server.model.request import FhirResponse
from fhir_server.operations import (
    Operation,
    code_system_validate_code,
    coded,
    parameters,
    value_set_validate_code,
)
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.catalogue import Catalogue
from terminology.issue import TxError, outcome
from terminology.valueset.validate import Answer

Json = dict[str, Any]

MOST = 1_000
"""Validations in one request."""
ASIDE = 20
"""Validations after which other requests have their turn."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/tools/OperationDefinition/batch-validate-code",
    code="batch-validate-code",
    resource=("ValueSet", "CodeSystem"),
    system=True,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        *value_set_validate_code.DEFINITION.parameters,
        OperationParameter("validation", "in", 1, MOST, "Parameters"),
        OperationParameter("validation", "out", 1, None, "Parameters"),
    ),
)


async def batch(ctx: Context) -> FhirResponse:
    """Return 200 with an answer for each validation, in their order: Parameters, or an OperationOutcome where it is refused.

    Raises:
        BadRequest: There is nothing to validate, or what is there is no Parameters resource.
    """
    body = ctx.resource()
    rows = body.get("parameter") if body.get("resourceType") == "Parameters" else None
    given = [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    common = [row for row in given if row.get("name") != "validation"]
    wanted = [row.get("resource") for row in given if row.get("name") == "validation"]
    if not 0 < len(wanted) <= MOST:
        raise BadRequest(
            f"There are {len(wanted)} parameters 'validation'. Give 1 to {MOST}, each with Parameters as its resource.",
            expression="Parameters.parameter",
        )
    shared = await coded.catalogue(ctx, {"tx-resource": _given(common)})
    answers = []
    for at, one in enumerate(wanted):
        if at % ASIDE == ASIDE - 1:
            await asyncio.sleep(0)
        answers.append(await _one(ctx, common, one, shared))
    found = {"resourceType": "Parameters", "parameter": [{"name": "validation", "resource": one} for one in answers]}
    return FhirResponse(200, {}, json.encode(found))


async def _one(ctx: Context, common: list[Json], given: object, shared: Catalogue) -> Json:
    """Return the answer to one validation; what it says itself goes before what is said for all."""
    rows = given.get("parameter") if isinstance(given, dict) else None
    own = [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    names = {row.get("name") for row in own} - {"tx-resource"}
    merged = {
        "resourceType": "Parameters",
        "parameter": [*(row for row in common if row.get("name") not in names), *own],
    }
    about = "CodeSystem" if _in_code_system(ctx, merged["parameter"]) else "ValueSet"
    within = replace(
        ctx, request=replace(ctx.request, resource=merged, body=b"", query=(), reader=None), resource_type=about
    )
    catalogue = None if any(row.get("name") == "tx-resource" for row in own) else shared
    module = code_system_validate_code if about == "CodeSystem" else value_set_validate_code
    try:
        answer: Answer = await module.validated(within, parameters.read(within, module.DEFINITION), catalogue)
    except TxError as error:
        return outcome(error.issues)
    except FhirError as error:
        return of_error(error.issues)
    return answer.parameters


def _in_code_system(ctx: Context, rows: object) -> bool:
    """Return whether a validation is against a code system: by the URL, or as no value set is named."""
    if ctx.resource_type:
        return ctx.resource_type == "CodeSystem"
    names = {row.get("name") for row in rows} if isinstance(rows, list) else set()
    return not names & {"url", "valueSet"}


def _given(rows: list[Json]) -> tuple[Json, ...]:
    found = [row.get("resource") for row in rows if row.get("name") == "tx-resource"]
    return tuple(one for one in found if isinstance(one, dict))


OPERATION = Operation(
    DEFINITION,
    batch,
    letters=("r",),
    methods=("POST",),
    summary="Whether many codes are valid, each in a value set or code system",
    success=((200, "Parameters with an answer for each validation, in their order."),),
)
