"""Which representations go in and out: Accept, `_format`, `_pretty`, Content-Type (R4 3.1.0.1.9, RFC 9110 12.5.1)."""

from dataclasses import dataclass
from functools import lru_cache

from fhir_server.model.errors import FhirError, InvalidParameter, NotAcceptable, UnsupportedMedia
from fhir_server.model.request import FhirRequest, Pairs

JSON_TYPES = ("application/fhir+json", "application/json")
FHIR_TYPES = (*JSON_TYPES, "application/fhir+xml", "application/xml", "text/xml")
PATCH_TYPES = ("application/json-patch+json",)
FORM_TYPES = ("application/x-www-form-urlencoded",)
# An unescaped "+" in a URL means a space, and `_format=application/fhir+json` is nearly always sent unescaped.
FORMATS = frozenset({"json", "application/json", "application/fhir+json", "application/fhir json"})
VERSIONS = frozenset({"4.0", "4.0.1"})
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
ONLY_JSON = "This server answers in JSON: use application/fhir+json"


@dataclass(frozen=True, slots=True)
class Representation:
    """How an answer is written.

    Attributes:
        indented: Whether the JSON is laid out for people.
    """

    indented: bool


PLAIN = Representation(indented=False)
INDENTED = Representation(indented=True)


def representation(accept: str, query: Pairs) -> Representation:
    """Return the representation that the client asks for; `_format` counts more than Accept.

    A client that also takes HTML is a browser, and its reader gets indented JSON.

    Raises:
        NotAcceptable: Only representations that are not offered, XML among them.
        InvalidParameter: `_format` or `_pretty` is given twice, or `_pretty` is neither true nor false.
    """
    if not query:
        return _by_accept(accept)
    wished = _single(query, "_format")
    pretty = _single(query, "_pretty")
    if wished is not None and wished.partition(";")[0].strip().lower() not in FORMATS:
        raise _not_offered(f"The _format '{wished[:60]}'", "_format")
    base = PLAIN if wished is not None else _by_accept(accept)
    if pretty is None:
        return base
    if pretty not in {"true", "false"}:
        raise InvalidParameter(f"_pretty is 'true' or 'false', not '{pretty[:40]}'.", expression="http._pretty")
    return INDENTED if pretty == "true" else PLAIN


def names_fhir(accept: str, query: Pairs) -> bool:
    """Return whether the client names a representation of FHIR in so many words, not by a wildcard."""
    if _single(query, "_format") is not None:
        return True
    return any(media in FHIR_TYPES and quality > 0 for media, quality, _ in _ranges(accept))


def body_types(request: FhirRequest) -> tuple[str, ...]:
    """Return the media types in which a request may send its body."""
    if request.method == "PATCH":
        return PATCH_TYPES
    if request.method == "POST" and request.path and request.path[-1] == "_search":
        return FORM_TYPES
    return JSON_TYPES


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=64)
def check_content_type(content_type: str, allowed: tuple[str, ...]) -> None:
    """Check the Content-Type of a body.

    Raises:
        UnsupportedMedia: None, another than those allowed, another charset than UTF-8 or another FHIR version.
    """
    choice = " or ".join(allowed)
    problem = ""
    media, *parameters = [part.strip() for part in content_type.split(";")]
    if not media:
        problem = f"The request has a body but no Content-Type. Send {choice}."
    elif media.lower() not in allowed:
        xml = " XML is not read by this server." if "xml" in media.lower() else ""
        problem = f"The Content-Type '{media[:60]}' is not read here.{xml} Send {choice}."
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        name, value = name.strip().lower(), value.strip().strip('"').lower()
        if name == "charset" and value not in CHARSETS:
            problem = f"The charset '{value[:40]}' is not read here. Send the body in UTF-8."
        elif name == "fhirversion" and value not in VERSIONS:
            problem = f"This server speaks FHIR 4.0, not '{value[:20]}'. Send R4 resources with fhirVersion=4.0."
    if problem:
        raise UnsupportedMedia(problem, expression="http.Content-Type", headers={"Accept": ", ".join(allowed)})


@lru_cache(maxsize=64)
def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the client takes gzip (RFC 9110 12.5.3)."""
    wildcard = 0.0
    for coding, quality, _ in _ranges(accept_encoding):
        if coding in {"gzip", "x-gzip"}:
            return quality > 0
        if coding == "*":
            wildcard = quality
    return wildcard > 0


@lru_cache(maxsize=64)
def _by_accept(accept: str) -> Representation:
    if not accept.strip():
        return PLAIN
    ranges = _ranges(accept)
    wrong_version = ""
    qualities = {"application/*": -1.0, "*/*": -1.0}
    for media, quality, version in ranges:
        if version and version not in VERSIONS:
            wrong_version = version
        else:
            qualities[media] = max(quality, qualities.get(media, -1.0))
    for offered in JSON_TYPES:
        # The most specific range decides, so that `application/json;q=0, */*` refuses application/json.
        decided = [q for q in (qualities.get(offered, -1.0), qualities["application/*"], qualities["*/*"]) if q >= 0]
        if decided and decided[0] > 0:
            return INDENTED if "text/html" in qualities else PLAIN
    if wrong_version:
        raise NotAcceptable(
            f"This server speaks FHIR 4.0, not '{wrong_version[:20]}'. Accept application/fhir+json; fhirVersion=4.0.",
            expression="http.Accept",
        )
    raise _not_offered(f"The Accept header '{accept[:100]}'", "Accept")


def _ranges(header: str) -> list[tuple[str, float, str]]:
    """Return (range, quality 0..1, fhirVersion or empty) for each part of an Accept or Accept-Encoding header."""
    found = []
    for part in header.split(","):
        media, *parameters = part.split(";")
        quality, version = 1.0, ""
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            name, value = name.strip().lower(), value.strip().strip('"')
            if name == "q":
                quality = _quality(value)
            elif name == "fhirversion":
                version = value
        if media.strip():
            found.append((media.strip().lower(), quality, version))
    return found


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _single(query: Pairs, name: str) -> str | None:
    found = [value for key, value in query if key == name]
    if len(found) > 1:
        raise InvalidParameter(
            f"The parameter {name} is given {len(found)} times. Give it once.", expression=f"http.{name}"
        )
    return found[0] if found else None


def _not_offered(what: str, name: str) -> FhirError:
    xml = " XML is not offered." if "xml" in what.lower() and "html" not in what.lower() else ""
    return NotAcceptable(
        f"{what} names no representation that is offered.{xml} {ONLY_JSON}.", expression=f"http.{name}"
    )
