"""Binary content over HTTP: in and out as itself, with its own Content-Type (R4 Binary, "Serving Binary Resources")."""

import re
from base64 import b64decode, b64encode
from typing import Any

from fhir_server.http import negotiate
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirRequest, FhirResponse

OCTETS = "application/octet-stream"

_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:;[\x20-\x7e]{0,200})?", re.ASCII)
_REFERENCE = re.compile(r"[\x21-\x7e]{1,300}", re.ASCII)


def sends_content(request: FhirRequest) -> bool:
    """Return whether the body is the content itself instead of a Binary resource."""
    path = request.path
    if not path or path[0] != "Binary" or (request.method, len(path)) not in {("POST", 1), ("PUT", 2)}:
        return False
    media_type = negotiate.media_type(request.headers.get("content-type", ""))
    return media_type != "" and media_type not in negotiate.FHIR_TYPES


def resource(request: FhirRequest, content: bytes) -> dict[str, Any]:
    """Return the Binary resource around content that was sent as itself.

    Raises:
        BadRequest: There is no content.
    """
    if not content:
        raise BadRequest(
            "The body is empty, so there is no content to store. Send the content itself; to store a Binary without content, "
            "send the resource with Content-Type application/fhir+json.",
            expression="http.body",
        )
    binary: dict[str, Any] = {"resourceType": "Binary"}
    if len(request.path) == 2:
        binary["id"] = request.path[1]
    binary["contentType"] = request.headers.get("content-type", OCTETS)
    if security := request.headers.get("x-security-context"):
        binary["securityContext"] = {"reference": security}
    binary["data"] = b64encode(content).decode("ascii")
    return binary


def wants_content(request: FhirRequest) -> bool:
    """Return whether a read wants the content itself: it does unless it names a FHIR representation."""
    path = request.path
    if not path or path[0] != "Binary" or len(path) not in {2, 4} or path[1].startswith(("_", "$")):
        return False
    return not negotiate.names_fhir(request.headers.get("accept", ""), request.query)


def content(response: FhirResponse) -> FhirResponse:
    """Return the answer to a read of a Binary as its content; other answers unchanged.

    The content comes from anybody, so a browser must neither run it nor guess its type.
    """
    if response.status != 200:
        return response
    binary = json.decode(response.body)
    declared = binary.get("contentType", OCTETS)
    headers = {
        **response.headers,
        "Content-Type": declared if _MEDIA.fullmatch(declared) else OCTETS,
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    security = binary.get("securityContext", {}).get("reference", "")
    if _REFERENCE.fullmatch(security):
        headers["X-Security-Context"] = security
    return FhirResponse(200, headers, b64decode(binary.get("data", "")))
