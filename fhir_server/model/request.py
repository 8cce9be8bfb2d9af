"""Requests and responses without transport: what dispatch takes and gives, for HTTP, bundle entries and jobs alike."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from fhir_server.model import json
from fhir_server.model.stored import Stored

Pairs = tuple[tuple[str, str], ...]

PRESENTATION = frozenset({"_format", "_pretty"})
"""URL parameters that say what an answer looks like."""


class FhirRequest(msgspec.Struct, frozen=True):
    """One interaction asked for.

    Attributes:
        method: HTTP method in capitals.
        path: Percent-decoded segments below the base, e.g. `("Patient", "1", "_history")`.
        base: The service base URL without trailing slash, e.g. `http://127.0.0.1:8080/fhir`.
        query: Decoded name-value pairs of the URL, in order.
        headers: Header values by lower-case name.
        body: Raw body, empty where there is none.
        resource: The decoded body where somebody (a bundle) has it already; otherwise `None` and `body` is decoded.
        id: Value of X-Request-Id.
        address: Network address of whoever asks; empty for this program itself.
        head: Whether HEAD was asked with this GET, so that its answer goes out without the body.
        reader: What reads a body that is not JSON. It is asked only when it is known that the caller may ask this at all: to read
            is work.
    """

    method: str
    path: tuple[str, ...]
    base: str
    query: Pairs = ()
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    resource: dict[str, Any] | None = None
    id: str = ""
    address: str = ""
    head: bool = False
    reader: "Callable[[bytes], Awaitable[dict[str, Any]]] | None" = None

    async def read(self) -> "FhirRequest":
        """Return the request with the resource that its reader finds in the body.

        Raises:
            BadRequest: There is none.
        """
        if self.reader is None or not self.body:
            return self
        return replace(self, resource=await self.reader(self.body), body=b"", reader=None)


class Content(msgspec.Struct, frozen=True):
    """A body that is read while it is sent, such as a file of an export.

    Attributes:
        media: Its media type.
        size: Bytes.
        tag: What tells it from every other content of its URL, without quotes.
        read: Yields the bytes from one place to before another, or to the end; raises `FhirError` where it cannot.
    """

    media: str
    size: int
    tag: str
    read: Callable[[int, int | None], AsyncIterator[bytes]]


class FhirResponse(msgspec.Struct, frozen=True):
    """The answer to one interaction.

    Attributes:
        status: HTTP status.
        headers: Response headers by their usual names (`ETag`, `Location`, `Last-Modified`, …).
        body: JSON bytes exactly as they go out; empty where there is no body.
        version: The version that the answer speaks of, where it speaks of one.
        reports: Whether the body is an OperationOutcome about the interaction, not a resource that was asked for.
        footprint: What the interaction leaves in the audit trail, where that is yet to be stored.
        content: The body instead of `body`, where it is too large to be held.
    """

    status: int
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    version: Stored | None = None
    reports: bool = False
    footprint: Any = None
    content: Content | None = None

    @property
    def resource(self) -> Any:
        """The decoded body (costs a decode; for callers that must look inside)."""
        return json.decode(self.body) if self.body else None
