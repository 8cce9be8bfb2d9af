"""What a request is aimed at: path segments and parameters of the URL, percent-decoded (RFC 3986 2.1, R4 3.1.0.1.3)."""

import re
from urllib.parse import quote, unquote_to_bytes

from fhir_server.model.errors import BadRequest
from fhir_server.model.request import Pairs

MOUNT = b"/fhir"
MOST_PAIRS = 10_000

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def is_fhir(raw_path: bytes) -> bool:
    """Return whether a raw path belongs to the FHIR API: `/fhir` itself or anything below it."""
    return raw_path.startswith(MOUNT) and (len(raw_path) == len(MOUNT) or raw_path[len(MOUNT)] == 0x2F)


def is_well_known(raw_path: bytes) -> bool:
    """Return whether a raw path below the service base is one of the documents that are not FHIR (RFC 8615).

    Clients append it to the service base, which some of them write with a slash at the end.
    """
    return raw_path.startswith((MOUNT + b"/.well-known/", MOUNT + b"//.well-known/"))


def raw(path: str) -> bytes:
    """Return a raw path for a decoded one, for servers that give no raw path."""
    return quote(path, safe="/:@!$&'()*+,;=-._~").encode("ascii")


def segments(raw_path: bytes) -> tuple[str, ...]:
    """Return the decoded segments below the service base; one slash at the end is ignored.

    Raises:
        BadRequest: An empty segment, a broken percent escape, or bytes that are not UTF-8.
    """
    parts = raw_path[len(MOUNT) + 1 :].split(b"/")
    if parts[-1] == b"":
        parts.pop()
    if b"" in parts:
        raise BadRequest("The URL path has an empty segment ('//'). Leave out the extra slash.", expression="http.url")
    return tuple([_text(part, "URL path") for part in parts])


def pairs(data: bytes, what: str = "URL query") -> Pairs:
    """Return the decoded name-value pairs of a query or of an `application/x-www-form-urlencoded` body, in order.

    Raises:
        BadRequest: More than 10,000 pairs, a broken percent escape, or bytes that are not UTF-8.
    """
    if not data:
        return ()
    if data.count(b"&") >= MOST_PAIRS:
        raise BadRequest(f"The {what} has more than {MOST_PAIRS} parameters. Send fewer.", expression="http.url")
    found = []
    for part in data.split(b"&"):
        if part:
            name, _, value = part.replace(b"+", b" ").partition(b"=")
            found.append((_text(name, what), _text(value, what)))
    return tuple(found)


def _text(part: bytes, what: str) -> str:
    escaped = b"%" in part
    if escaped and _BROKEN.search(part):
        raise BadRequest(
            f"The {what} has a '%' that two hexadecimal digits do not follow. Write a percent sign itself as '%25'.",
            expression="http.url",
        )
    try:
        return (unquote_to_bytes(part) if escaped else part).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(
            f"The {what} has bytes that are not UTF-8. Encode the text as UTF-8 before percent-encoding it.",
            expression="http.url",
        ) from None
