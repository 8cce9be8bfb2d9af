"""Patient/[id]/$view-as-patient: what the patient's own search of a type shows at this moment (docs/live-record.md)."""

from dataclasses import replace

from fhir_server.access.narrowed import Narrowed
from fhir_server.access.principal import Principal
from fhir_server.context import Context
from fhir_server.model.errors import BadRequest, Forbidden
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.operations import OWN, Operation
from profiles.definitions.model import OperationDefinition, OperationParameter
from smart_auth.scopes.grammar import parse

CLIENT = "view-as-patient"
SCOPES = parse("patient/*.rs").resources
TYPE = "_type"
ASIDE = frozenset(
    {"_has", "_filter", "_summary", "_total", "_include", "_revinclude", "_explain", "_list", "_contained"}
)
"""Result and search parameters that could tell of what is not shown."""

DEFINITION = OperationDefinition(
    url=f"{OWN}view-as-patient",
    code="view-as-patient",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter(TYPE, "in", 1, 1, "code"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the answer to `GET [type]?…` of the patient; what else the query has is the patient's query.

    Raises:
        BadRequest: There is not one `_type`, or a parameter that cannot be asked here.
        Forbidden: The caller is no staff.
        NotFound: There is no such patient within the caller's reach.
    """
    who = ctx.repository.scope.principal
    if who.audience not in {"staff", "server"}:
        raise Forbidden("This shows staff what a patient is shown. Patients search their record itself.")
    await ctx.repository.read("Patient", ctx.id)
    types = [value for name, value in ctx.request.query if name == TYPE]
    if len(types) != 1 or types[0] not in ctx.definitions.resource_types:
        raise BadRequest("Name one resource type to look at: _type=Observation.", expression="http._type")
    pairs = tuple(pair for pair in ctx.request.query if pair[0] != TYPE)
    for name, _ in pairs:
        if "." in name or name.partition(":")[0] in ASIDE:
            raise BadRequest(
                f"'{name[:60]}' cannot be asked here. Search by parameters of the type itself.",
                expression=f"http.{name[:60]}",
            )
    patient = Principal("patient", CLIENT, "", SCOPES, patient=ctx.id, own=frozenset({ctx.id}))
    scope = Narrowed(await ctx.grants.of(patient), ctx.repository.scope)
    repository = replace(ctx.repository, scope=scope, footprint=None)
    asked = FhirRequest("GET", (types[0],), ctx.base, pairs, headers=ctx.request.headers)
    return await ctx.dispatch(asked, repository, "")


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r",),
    methods=("GET",),
    summary="What a patient is shown",
    success=((200, "The Bundle that the patient's own search returns."),),
)
