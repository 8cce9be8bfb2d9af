"""Which representations go in and out: Accept, `_format`, `_pretty`, Content-Type (R4 3.1.0.1.9, RFC 9110 12.5.1)."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.http import target
from fhir_server.model.errors import FhirError, InvalidParameter, NotAcceptable, UnsupportedMedia
from fhir_server.model.request import FhirRequest, Pairs

JSON_TYPES = ("application/fhir+json", "application/json")
XML_TYPES = ("application/fhir+xml", "application/xml", "text/xml")
FHIR_TYPES = (*JSON_TYPES, *XML_TYPES)
PATCH_TYPES = (
    "application/json-patch+json",
    "application/xml-patch+xml",
    "application/fhir+json",
    "application/fhir+xml",
)
FORM_TYPES = ("application/x-www-form-urlencoded",)
IMPORT, LINE_TYPES = ("$import",), ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
IMPORT_TYPES = (*FHIR_TYPES, *LINE_TYPES)
GRAPHQL_TYPES = ("application/json", "application/graphql", "application/fhir+json")
GRAPHQL = ("$graphql",)
# An unescaped "+" in a URL means a space, and `_format=application/fhir+json` is nearly always sent unescaped.
FORMATS: Mapping[str, bool] = {
    **dict.fromkeys(("json", *JSON_TYPES, "application/fhir json"), False),
    **dict.fromkeys(("xml", *XML_TYPES, "application/fhir xml"), True),
}
"""The values of `_format`, each with whether it is XML."""
VERSIONS = frozenset({"4.0", "4.0.1"})
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
CHOICE = "Use application/fhir+json or application/fhir+xml"


@dataclass(frozen=True, slots=True)
class Representation:
    """How an answer is written.

    Attributes:
        xml: Whether it is XML instead of JSON.
        indented: Whether it is laid out for people.
    """

    xml: bool
    indented: bool


PLAIN = Representation(xml=False, indented=False)
UNDECIDED = Representation(xml=False, indented=False)
"""Plain JSON too, but only because nothing was negotiated yet; told from `PLAIN` by identity."""


def representation(accept: str, query: Pairs, sent: str = "") -> Representation:
    """Return the representation that the client asks for; `_format` counts more than Accept.

    A client that also takes HTML is a browser, and its reader gets indented JSON.

    Args:
        accept: The Accept header.
        query: Parameters of the URL, or of a search form with them.
        sent: Media type of the request's body. What comes as XML is answered in XML where the client takes both alike.

    Raises:
        NotAcceptable: Only representations that are not offered.
        InvalidParameter: `_format` or `_pretty` is given twice, or `_pretty` is neither true nor false.
    """
    xml_first = sent in XML_TYPES
    if not query:
        return _by_accept(accept, xml_first)
    wished = _single(query, "_format")
    pretty = _single(query, "_pretty")
    xml = FORMATS.get(wished.partition(";")[0].strip().lower()) if wished is not None else None
    if wished is not None and xml is None:
        raise _not_offered(f"The _format '{wished[:60]}'", "_format")
    base = _by_accept(accept, xml_first) if xml is None else Representation(xml, indented=False)
    if pretty is None:
        return base
    if pretty not in {"true", "false"}:
        raise InvalidParameter(f"_pretty is 'true' or 'false', not '{pretty[:40]}'.", expression="http._pretty")
    return Representation(base.xml, indented=pretty == "true")


def likely(accept: str, query_string: bytes, sent: str = "") -> Representation:
    """Return how to answer a request that was refused before, or because, nothing was agreed."""
    formats: Pairs = ()
    with suppress(FhirError):
        formats = tuple([pair for pair in target.pairs(query_string) if pair[0] == "_format"])
    for query in (formats, ()):
        with suppress(FhirError):
            return representation(accept, query, sent)
    return PLAIN


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
    if request.path == IMPORT:
        return IMPORT_TYPES
    return GRAPHQL_TYPES if is_graphql(request) else FHIR_TYPES


def is_graphql(request: FhirRequest) -> bool:
    """Return whether a request is a query in GraphQL, whose answer is JSON of its own."""
    return request.path[-1:] == GRAPHQL


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
        problem = f"The Content-Type '{media[:60]}' is not read here. Send {choice}."
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
def _by_accept(accept: str, xml_first: bool) -> Representation:  # noqa: FBT001 - of a cached function
    if not accept.strip():
        return Representation(xml_first, indented=False)
    ranges = _ranges(accept)
    known = [(media, quality) for media, quality, version in ranges if not version or version in VERSIONS]
    json, xml = _rank(known, JSON_TYPES), _rank(known, XML_TYPES)
    if not json and not xml:
        wrong_version = next((version for _, _, version in ranges if version and version not in VERSIONS), "")
        if wrong_version:
            raise NotAcceptable(
                f"This server speaks FHIR 4.0, not '{wrong_version[:20]}'. Accept application/fhir+json; fhirVersion=4.0.",
                expression="http.Accept",
            )
        raise _not_offered(f"The Accept header '{accept[:100]}'", "Accept")
    if any(media == "text/html" for media, _ in known):
        return Representation(xml=not json, indented=True)
    return Representation(xml=xml >= json if xml_first else xml > json, indented=False)


Rank = tuple[float, int, int]


def _rank(ranges: list[tuple[str, float]], offered: tuple[str, ...]) -> Rank | tuple[()]:
    """Return how much a client wants the best of some media types: quality, how exactly it names it, how early.

    For each type the most specific range decides (RFC 9110 12.5.1), so that `application/json;q=0, */*` refuses
    application/json. The answer is empty, which is the least, where it takes none.
    """
    ranks: list[Rank] = []
    for media in offered:
        for exactness, name in ((2, media), (1, f"{media.partition('/')[0]}/*"), (0, "*/*")):
            found = [(quality, -place) for place, (each, quality) in enumerate(ranges) if each == name]
            if found:
                quality, place = max(found)
                ranks.append((quality, exactness, place))
                break
    return max((rank for rank in ranks if rank[0] > 0), default=())


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
    return NotAcceptable(f"{what} names no representation that is offered. {CHOICE}.", expression=f"http.{name}")
