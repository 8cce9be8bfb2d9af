"""The door of the FHIR API: one raw ASGI handler for every URL below the service base.

No framework runs on this path: routing, dependency injection and middleware would cost several times what the rest of a
read costs (docs/performance.md). The steps: name the request, read its target, negotiate, take in the body, dispatch,
answer, count. Whatever goes wrong before or after dispatch is answered here with an OperationOutcome.
"""

from collections.abc import Awaitable
from time import perf_counter
from typing import Any, Protocol

import structlog
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from fhir_server.capability.table import OFFERED
from fhir_server.http import binary, body, negotiate, streaming, target
from fhir_server.http.bind import Base
from fhir_server.http.cors import METHODS, Cors
from fhir_server.http.curators import Curators
from fhir_server.http.exchange import Exchange
from fhir_server.http.metrics import Metrics
from fhir_server.http.respond import respond
from fhir_server.http.shape import Shapes
from fhir_server.http.xml import Xml
from fhir_server.model import json
from fhir_server.model.channel import Feed
from fhir_server.model.errors import FhirError, NotSupported
from fhir_server.model.outcome import outcome, refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Settings
from profiles.definitions.registry import Definitions
from profiles.issue import Issue
from smart_auth.realm import Realm

TAKE_BODY = frozenset({"POST", "PUT", "PATCH"})
KNOWN_METHODS = frozenset(METHODS.split(", "))
METADATA = ("metadata",)
CLIENT_GONE = 499
LOGGED_FROM = {"off": 1000, "errors": 400, "all": 100}
"""Least status of the requests that get a log line, by setting. A line costs a fifth of what a read costs."""


class Service(Protocol):
    """What the edge stands on; `fhir_server.main` builds it."""

    @property
    def definitions(self) -> Definitions:
        """FHIR definitions."""

    @property
    def realm(self) -> Realm:
        """The authorization server."""

    @property
    def spooled(self) -> int:
        """Rows of the audit trail that wait on disk, because the trail cannot take them."""

    @property
    def curators(self) -> Curators:
        """Answers the terminology page."""

    @property
    def feed(self) -> Feed:
        """Where connections of subscribers take notifications from."""

    def receive(self, request: FhirRequest, /) -> Awaitable[FhirResponse]:
        """Return the answer to a request from outside; raises `FhirError` where its caller is not let in."""

    def ready(self) -> Awaitable[None]:
        """Return when requests can be served; raises `Unavailable` when not."""

    def openapi(self, base: str, /) -> dict[str, Any]:
        """Return the OpenAPI document of the API at a service base."""

    def policy(self, request: FhirRequest, /) -> Awaitable[dict[str, Any]]:
        """Return the effective policy for whoever asks; raises `FhirError` where it is not for that one."""

    def audit_keys(self) -> Awaitable[dict[str, Any]]:
        """Return the public keys of the trail's seals, as a JWK set."""


class Edge:
    """Answers the requests below the service base.

    Args:
        service: What answers a request.
        settings: Effective settings.
        metrics: Where requests are counted.
    """

    def __init__(self, service: Service, settings: Settings, metrics: Metrics) -> None:
        self._receive = service.receive
        self._metrics = metrics
        self._limit = settings.server.max_body
        self._base = Base(settings)
        self._cors = Cors(settings)
        self._logged_from = LOGGED_FROM[settings.server.log_requests]
        self._xml = Xml(service.definitions)
        self._shapes = Shapes(OFFERED, service.definitions.resource_types)
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("fhir_server.http").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = perf_counter()
        self._metrics.in_flight += 1
        exchange = Exchange(scope)
        status = CLIENT_GONE
        try:
            response = await self._answer(exchange, scope, receive)
            status = response.status
            if response.content is None:
                await respond(send, response, exchange)
            else:
                status = await streaming.send_content(receive, send, response, exchange)
        except body.Disconnected:
            pass
        finally:
            self._metrics.in_flight -= 1
            self._note(exchange, status, perf_counter() - started)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive) -> FhirResponse:
        """Return the answer, whatever happens."""
        try:
            response = await self._run(exchange, scope, receive)
            return await self._as_xml(response, exchange) if exchange.representation.xml else response
        except FhirError as error:
            if exchange.representation is negotiate.UNDECIDED:
                headers = exchange.headers
                sent = negotiate.media_type(headers.get("content-type", ""))
                exchange.representation = negotiate.likely(headers.get("accept", ""), scope["query_string"], sent)
            return await self._as_xml(refusal(error), exchange) if exchange.representation.xml else refusal(error)
        except body.Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - the last line: a bug must not show its insides
            self._log.exception("edge_failed", error=type(error).__name__, request=exchange.id)
            text = "The server failed to answer. The fault is on our side; it was logged under the X-Request-Id."
            failed = FhirResponse(500, {}, json.encode(outcome([Issue("fatal", "exception", text)])))
            return await self._as_xml(failed, exchange) if exchange.representation.xml else failed

    async def _as_xml(self, response: FhirResponse, exchange: Exchange) -> FhirResponse:
        return await self._xml.answer(response, indented=exchange.representation.indented)

    async def _run(self, exchange: Exchange, scope: Scope, receive: Receive) -> FhirResponse:
        headers = exchange.headers
        base = self._base.of(scope["scheme"], headers.get("host", ""))
        if origin := headers.get("origin", ""):
            exchange.cors = self._cors.headers(origin)
        if exchange.method not in KNOWN_METHODS:
            raise NotSupported(f"This HTTP method is not known here. Use one of {METHODS}.", headers={"Allow": METHODS})
        if exchange.method == "OPTIONS":
            return self._cors.preflight(origin, headers.get("access-control-request-method", ""))

        method = "GET" if exchange.method == "HEAD" else exchange.method
        path = target.segments(scope.get("raw_path") or target.raw(scope["path"]))
        if origin and path == METADATA:
            exchange.cors = self._cors.headers(origin, tells=True)
        exchange.shape = self._shapes.of(method, path)
        query = target.pairs(scope["query_string"])
        address = scope["client"][0] if scope.get("client") else ""
        request = FhirRequest(
            method, path, base, query, headers, id=exchange.id, address=address, head=exchange.method == "HEAD"
        )
        if method in TAKE_BODY and (body.announced(headers) or binary.sends_content(request)):
            return await self._receive(await self._with_body(exchange, request, receive))
        accept = headers.get("accept", "")
        if binary.wants_content(request):
            return binary.content(await self._receive(request))
        if negotiate.is_graphql(request):
            exchange.representation = negotiate.PLAIN
        elif streaming.is_file(request):  # it is given as what it is; an error about it is written as they like it
            exchange.representation = negotiate.likely(accept, scope["query_string"])
        else:
            exchange.representation = negotiate.representation(accept, query)
        return await self._receive(request)

    async def _with_body(self, exchange: Exchange, request: FhirRequest, receive: Receive) -> FhirRequest:
        """Return the request with its body, when both media types suit us."""
        headers, query = request.headers, request.query
        allowed = negotiate.body_types(request)
        is_content = binary.sends_content(request)
        if not is_content:
            negotiate.check_content_type(headers.get("content-type", ""), allowed)
        sent = negotiate.media_type(headers.get("content-type", ""))
        is_graphql = negotiate.is_graphql(request)
        accept = headers.get("accept", "")
        exchange.representation = negotiate.PLAIN if is_graphql else negotiate.representation(accept, query, sent)
        data = await body.read(receive, headers, self._limit)
        if is_content:
            return replace(request, resource=binary.resource(request, data))
        if allowed is negotiate.FORM_TYPES:
            # A search form may hold _format and _pretty as well (R4 3.1.1.2).
            query += target.pairs(data, "search form")
            exchange.representation = negotiate.representation(accept, query)
        return replace(request, body=data, reader=self._xml.resource if sent in negotiate.XML_TYPES else None)

    def _note(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Count an answered request, and log it where that is wished, without ids and values."""
        shape = exchange.shape
        self._metrics.observe(shape.interaction, shape.resource_type, status, seconds)
        if status < self._logged_from:
            return
        self._log.info(
            "request",
            method=exchange.method if exchange.method in KNOWN_METHODS else "other",
            interaction=shape.interaction,
            type=shape.resource_type,
            route=shape.route,
            status=status,
            ms=round(seconds * 1000, 2),
            request=exchange.id,
        )
