"""$graphql: a query in GraphQL, of the whole record or of one resource (R4 graphql.html)."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, FhirError
from fhir_server.model.outcome import outcome
from fhir_server.model.request import PRESENTATION, FhirResponse
from fhir_server.operations import Operation
from profiles.definitions.model import OperationDefinition, OperationParameter

if TYPE_CHECKING:
    from graphql import GraphQLError

JSON = {"Content-Type": "application/json; charset=utf-8"}
PLAIN = "application/graphql"
MEMBERS = frozenset({"query", "variables", "operationName", "extensions"})

Json = dict[str, Any]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Resource-graphql",
    code="graphql",
    resource=("Resource",),
    system=True,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("query", "in", 1, 1, "string"),
        OperationParameter("result", "out", 1, 1, "Binary"),
    ),
)


async def graphql(ctx: Context) -> FhirResponse:
    """Return 200 with data and errors, or 400 with what is wrong with the query.

    Raises:
        BadRequest: There is no query in it.
        NotFound: There is no such instance, or none that the caller may see.
    """
    if ctx.repository.pending:
        raise BadRequest("A transaction takes no $graphql. Send it by itself, or in a batch.")
    text, variables, name = _asked(ctx)
    # graphql-core is read when the first query comes: it takes as long as the rest of the server's operations.
    from graphql import GraphQLError, OperationDefinitionNode, get_operation_ast
    from graphql.execution.values import get_variable_values

    from fhir_server.graphql.execution import Query
    from fhir_server.graphql.introspection import Introspection, kept
    from fhir_server.graphql.rules import Refused, read
    from fhir_server.graphql.schema import schema
    from fhir_server.graphql.sources import Sources

    made = await asyncio.to_thread(schema, ctx.definitions)
    try:
        document = await asyncio.to_thread(read, made, text, ctx.resource_type)
    except Refused as refused:
        return _refused(*refused.errors)
    operation = get_operation_ast(document, name or None)
    if not isinstance(operation, OperationDefinitionNode):
        return _refused(GraphQLError("Say which of the operations is meant, with operationName."))
    known = get_variable_values(made, operation.variable_definitions or (), variables, max_errors=20)
    if isinstance(known, list):
        return _refused(*known)
    sources = Sources(ctx.repository, ctx.settings.search, ctx.base)
    instance = await sources.read(ctx.resource_type, ctx.id) if ctx.id else None
    query = Query(made, document, known, sources, ctx.definitions, ctx.checks.engine)
    selections = operation.selection_set
    try:
        if instance is not None:
            data = await query.instance(instance, selections)
        else:
            data = await query.answer(selections)
            told = Introspection(made, document, known)
            if told.concerns(selections):
                asked = json.encode([text, variables, name])
                of_schema = await kept(ctx.definitions).encoded(asked, partial(told.answer, selections))
                if not (data or query.errors):
                    return FhirResponse(200, JSON, b'{"data":%b}' % of_schema)
                data |= json.decode(of_schema)
    except FhirError as error:
        return _told(error.status, {"errors": [_error(error)], "data": None})
    finally:
        await sources.done()
    return _told(200, {**({"errors": query.errors} if query.errors else {}), "data": data})


def _asked(ctx: Context) -> tuple[str, Json, str]:
    """Return query, variables and the name of the operation, from the URL or the body."""
    given: Json = {name: value for name, value in ctx.request.query if name not in PRESENTATION}
    if isinstance(given.get("variables"), str):
        given["variables"] = json.parse(given["variables"].encode(), "parameter 'variables'")
    if ctx.request.method == "POST" and (ctx.request.body or ctx.request.resource is not None):
        given |= _of_body(ctx)
    for name in given.keys() - MEMBERS:
        raise BadRequest(
            f"'{name[:60]}' is no part of a query in GraphQL. It has query, variables and operationName.",
            expression=f"http.{name[:60]}",
        )
    text, variables, name = given.get("query"), given.get("variables") or {}, given.get("operationName") or ""
    if not isinstance(text, str) or not text.strip():
        raise BadRequest("Send the query as 'query'.", expression="http.query")
    if not isinstance(variables, dict) or not isinstance(name, str):
        raise BadRequest("'variables' is an object, and 'operationName' a text.", expression="http.variables")
    return text, variables, name


def _of_body(ctx: Context) -> Json:
    sent = ctx.header("content-type").partition(";")[0].strip().lower()
    if sent == PLAIN and ctx.request.body:
        try:
            return {"query": ctx.request.body.decode()}
        except UnicodeDecodeError:
            raise BadRequest("The query is not in UTF-8.") from None
    body = ctx.resource()
    if body.get("resourceType") != "Parameters":
        return body
    rows = body.get("parameter")
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("name")): row.get("valueString") for row in found}


def _refused(*errors: "GraphQLError") -> FhirResponse:
    """Return the answer to a query that is not carried out."""
    rows = [
        {**error.formatted, "extensions": {"resource": outcome(BadRequest(error.message).issues)}} for error in errors
    ]
    return _told(400, {"errors": rows})


def _error(error: FhirError) -> Json:
    return {"message": str(error), "extensions": {"resource": outcome(error.issues)}}


def _told(status: int, body: Json) -> FhirResponse:
    return FhirResponse(status, JSON, json.encode(body))


OPERATION = Operation(
    DEFINITION,
    graphql,
    letters=("", ""),
    methods=("GET", "POST"),
    summary="A query in GraphQL",
    success=((200, "`data` and `errors`."),),
    media=((200, "application/json"), (400, "application/json")),
)
