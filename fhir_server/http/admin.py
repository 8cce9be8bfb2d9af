"""Pages of JSON for those who answer for the house: the effective policy (docs/policy.md)."""

from collections.abc import Callable

from fastapi import FastAPI, Request, Response

from fhir_server.http.edge import Service
from fhir_server.http.exchange import Exchange
from fhir_server.model import json
from fhir_server.model.errors import FhirError, Unavailable
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirRequest

PRIVATE = {"Cache-Control": "no-store"}


def mount(app: FastAPI, service: Callable[[], Service | None]) -> None:
    """Add the pages.

    Args:
        app: The application.
        service: What answers; `None` while the server is starting.
    """

    @app.get("/admin/policy")
    async def policy(request: Request) -> Response:
        try:
            running = service()
            if running is None:
                raise Unavailable("The server is starting. Try again in a moment.")
            found = await running.policy(_asked(request))
        except FhirError as error:
            body = json.encode(outcome(error.issues))
            return Response(body, error.status, {**PRIVATE, **error.headers}, "application/fhir+json; charset=utf-8")
        return Response(json.encode(found), 200, {**PRIVATE, "ETag": f'"{found["hash"]}"'}, "application/json")


def _asked(request: Request) -> FhirRequest:
    """Return the request as it is checked and kept in the audit trail."""
    exchange = Exchange(request.scope)
    address = request.client.host if request.client else ""
    return FhirRequest("GET", ("admin", "policy"), "", (), exchange.headers, id=exchange.id, address=address)
