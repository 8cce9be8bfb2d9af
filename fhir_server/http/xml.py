"""XML at the door (R4 2.6.1): bodies become plain resources, and answers leave as XML. Inside there is only JSON."""

import asyncio
from typing import Any

from msgspec.structs import replace

from fhir_server.model import json
from fhir_server.model.errors import BadRequest, NotAcceptable
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirResponse
from profiles.definitions.registry import Definitions
from profiles.xml.reader import Reader, UnreadableError
from profiles.xml.writer import UnwritableError, Writer

CONTENT_TYPE = "application/fhir+xml; charset=utf-8"
OFF_LOOP = 64 * 1024
"""Bytes from which the work is done beside the event loop; it takes about 1 ms for 16 KiB."""


class Xml:
    """Reads and writes XML.

    Args:
        definitions: FHIR definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._reader = Reader(definitions)
        self._writer = Writer(definitions)

    async def resource(self, data: bytes) -> dict[str, Any]:
        """Return the resource in a body.

        Raises:
            BadRequest: It cannot be read; all findings are in it.
        """
        try:
            if len(data) > OFF_LOOP:
                return await asyncio.to_thread(self._reader.read, data)
            return self._reader.read(data)
        except UnreadableError as error:
            raise BadRequest(str(error), issues=error.issues) from None

    async def answer(self, response: FhirResponse, *, indented: bool) -> FhirResponse:
        """Return an answer with its body as XML; one that has no body, or a body of another kind, as it is.

        What has no form in XML, because it is no resource, is answered with 406 in JSON.
        """
        if not response.body or "Content-Type" in response.headers:
            return response
        try:
            if len(response.body) > OFF_LOOP:
                body = await asyncio.to_thread(self._written, response.body, indented)
            else:
                body = self._written(response.body, indented)
        except UnwritableError as error:
            return refusal(
                NotAcceptable(
                    f"This cannot be written as XML: {error} Ask for application/fhir+json.", expression="http.Accept"
                )
            )
        return replace(response, headers={**response.headers, "Content-Type": CONTENT_TYPE}, body=body)

    def _written(self, body: bytes, indented: bool) -> bytes:  # noqa: FBT001 - passed on to a thread
        return self._writer.write(json.decode(body), indented=indented)
