"""Language reference sets of SNOMED CT as BCP-47 tags (the dialect aliases of the Expression Constraint Language, appendix C)."""

from collections.abc import Iterable

DIALECTS = {
    "554461000005103": "da-DK",
    "722130004": "de",
    "32570271000036106": "en-AU",
    "19491000087109": "en-CA",
    "900000000000508004": "en-GB",
    "999001261000000100": "en-GB",
    "999000671000001103": "en-GB",
    "999000691000001104": "en-GB",
    "999000681000001101": "en-GB",
    "999001251000000103": "en-GB",
    "21000220103": "en-IE",
    "271000210107": "en-NZ",
    "900000000000509007": "en-US",
    "448879004": "es",
    "450828004": "es-AR",
    "5641000179103": "es-UY",
    "71000181105": "et-EE",
    "722131000": "fr",
    "21000172104": "fr-BE",
    "20581000087109": "fr-CA",
    "722129009": "ja",
    "31000172101": "nl-BE",
    "31000146106": "nl-NL",
    "61000202103": "nb-NO",
    "91000202106": "nn-NO",
    "46011000052107": "sv-SE",
    "722128001": "zh",
}
LONGEST = 8
"""Characters of a subtag of BCP-47."""


def tags(language: str, refsets: Iterable[str]) -> list[str]:
    """Return the tags of descriptions in a language that language reference sets have, sorted.

    A reference set with no tag of its own has one for private use: `en-x-sctlang-90000000-00005090-07`, as FHIR says it for SNOMED CT.
    """
    return sorted({DIALECTS.get(one) or _private(language, one) for one in refsets})


def _private(language: str, refset: str) -> str:
    pieces = [refset[start : start + LONGEST] for start in range(0, len(refset), LONGEST)]
    return "-".join([language, "x", "sctlang", *pieces])
