"""TerminologyCapabilities: the code systems at hand, and what can be asked of them (R4 3.1.0.9, `mode=terminology`)."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from terminology import versions
from terminology.concept import Head

Json = dict[str, Any]

EXPANSION = {
    "activeOnly": "Without concepts that are not to be used any more.",
    "check-system-version": "The version that a code system has to be.",
    "check-valueset-version": "The version that an imported value set has to be.",
    "count": "Concepts of a page.",
    "default-valueset-version": "The version of a value set where none is stated.",
    "designation": "Languages and uses of designations.",
    "displayLanguage": "Languages of the displays, as Accept-Language has them.",
    "exclude-system": "Code systems whose concepts are left out.",
    "excludeNested": "A list instead of a tree.",
    "excludeNotForUI": "Without concepts that only group others.",
    "excludePostCoordinated": "Expansions never have codes that nobody listed.",
    "filter": "Words that the concepts have.",
    "force-system-version": "The version of a code system in any case.",
    "force-valueset-version": "The version of a value set in any case.",
    "includeDefinition": "The definition of the value set in the answer.",
    "includeDesignations": "Other words for the concepts.",
    "offset": "Concepts before the page.",
    "property": "Properties that are told of each concept.",
    "system-version": "The version of a code system where none is stated.",
    "tx-resource": "Resources that count before those at hand.",
    "useSupplement": "Supplements that count.",
}
"""Parameters of $expand besides those that name the value set."""


AT_HAND = "https://aquifer.example/fhir/StructureDefinition/code-system-at-hand"
"""Extension of a version: title, number of concepts, and where it comes from (docs/definitions.md)."""

STORED = "stored"


def capabilities(
    statement: Json, base: str, heads: Iterable[Head], sources: Mapping[str, str] = MappingProxyType({})
) -> Json:
    """Return the TerminologyCapabilities of this server.

    Args:
        statement: Its CapabilityStatement.
        base: Service base URL without trailing slash.
        heads: Of the code systems at hand.
        sources: Where they come from, by canonical; those that are not named are stored as resources.
    """
    by_url: dict[str, list[Head]] = {}
    for one in heads:
        by_url.setdefault(one.url, []).append(one)
    told = ("version", "status", "experimental", "date", "publisher", "kind", "software", "implementation")
    return {
        "resourceType": "TerminologyCapabilities",
        "url": f"{base}/metadata?mode=terminology",
        "name": "AquiferTerminology",
        "title": "Terminology service of this Aquifer server",
        "description": "The code systems that are at hand, and what can be asked of them.",
        **{key: statement[key] for key in told},
        "lockedDate": False,
        "codeSystem": [_code_system(url, by_url[url], sources) for url in sorted(by_url) if url],
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": True,
            "parameter": [{"name": name, "documentation": text} for name, text in EXPANSION.items()],
            "textFilter": "Words of code, display and designations by their beginnings, without regard to case and accents.",
        },
        "codeSearch": "all",
        "validateCode": {"translations": True},
        "translation": {"needsMap": True},
        "closure": {"translation": False},
    }


def _code_system(url: str, heads: Sequence[Head], sources: Mapping[str, str]) -> Json:
    algorithm = next((one.version_algorithm for one in heads if one.version_algorithm), "")
    order = versions.ordered([one.version for one in heads], algorithm)
    newest = order[-1]
    found = {one.version: one for one in heads}
    rows = [found[version] for version in dict.fromkeys(reversed(order))]
    return {
        "uri": url,
        "version": [{**_at_hand(one, sources), **_version(one, default=one.version == newest)} for one in rows],
        "subsumption": any(one.hierarchy in {"is-a", "classified-with"} for one in heads),
    }


def _version(head: Head, *, default: bool) -> Json:
    row: Json = {"code": head.version} if head.version else {}
    row |= {"isDefault": default, "compositional": head.compositional}
    if head.language:
        row["language"] = [head.language]
    if head.properties:
        row["property"] = list(head.properties)
    return row


def _at_hand(head: Head, sources: Mapping[str, str]) -> Json:
    """Return the extension for what R4 has no element for."""
    source = sources.get(head.canonical, STORED)
    rows = [
        *([{"url": "title", "valueString": head.title or head.name}] if head.title or head.name else ()),
        *([{"url": "concepts", "valueUnsignedInt": head.count}] if head.count else ()),
        {"url": "source", "valueCode": source},
    ]
    return {"extension": [{"url": AT_HAND, "extension": rows}]}
