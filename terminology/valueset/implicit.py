"""Implicit value sets: what a URL says by itself, without a ValueSet resource.

* SNOMED CT (https://hl7.org/fhir/R4/snomedct.html#implicit): `http://snomed.info/sct[/module[/version/date]]?fhir_vs`, and
  `=isa/138875005`, `=refset`, `=refset/…`, `=ecl/…` after it; the form with `isa` goes for any code system with a hierarchy.
* LOINC (https://hl7.org/fhir/R4/loinc.html#implicit): `http://loinc.org/vs`, `/LL…` (answers), `/LP…` (below a part), `/LG…` (of a group).
* UCUM (https://hl7.org/fhir/R4/ucum.html#implicit): `http://unitsofmeasure.org/vs`, `/vs/mg` for what converts to mg.
* The ValueSet Compose Language: `http://fhir.org/VCL?v1=…`.
* All codes of a code system: `CodeSystem.valueSet`, or its URL with `?fhir_vs`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from terminology import issue
from terminology.catalogue import Catalogue
from terminology.codesystem import bcp47, mime, standards, ucum
from terminology.issue import TxError
from terminology.valueset import vcl

Json = dict[str, Any]

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
REFERENCE_SETS = "900000000000455006"

WHOLE: Mapping[str, str] = {
    "http://hl7.org/fhir/ValueSet/all-languages": bcp47.URL,
    "http://hl7.org/fhir/ValueSet/mimetypes": mime.URL,
    "http://hl7.org/fhir/ValueSet/currencies": standards.CURRENCIES,
    "http://hl7.org/fhir/ValueSet/timezones": standards.TIME_ZONES,
    "http://hl7.org/fhir/ValueSet/ucum-units": ucum.URL,
    "http://unitsofmeasure.org/vs": ucum.URL,
    "http://loinc.org/vs": LOINC,
}
"""Value sets of all codes of a code system that is a grammar, a standard's list or a release."""

_SNOMED = re.compile(
    r"http://snomed\.info/(?:x)?sct(?P<edition>/\d{6,18}(?:/version/\d{8})?)?\?fhir_vs(?:=(?P<rule>.*))?", re.DOTALL
)
_SCTID = re.compile(r"[0-9]{6,18}")
_LOINC = re.compile(r"http://loinc\.org/vs/(?P<code>L[LPG][0-9]+-[0-9])")
_LOINC_FILTERS = {"LL": ("LIST", "="), "LP": ("concept", "is-a"), "LG": ("LG", "=")}
_UCUM = "http://unitsofmeasure.org/vs/"
_ALL = re.compile(r"(?P<system>[^?|]+)\?fhir_vs(?:=isa/(?P<code>[^?|]+))?")


async def implicit(url: str, catalogue: Catalogue) -> Json | None:
    """Return the ValueSet that a URL stands for, with a `compose`; `None` where it stands for none.

    Args:
        url: Canonical URL, without a version.
        catalogue: Knows which code systems there are.

    Raises:
        TxError: The URL has an expression that is none.
    """
    if url.startswith(vcl.BASE):
        return _of_expression(url)
    for understood in (_of_snomed, _of_loinc, _of_ucum):
        found = understood(url)
        if found is not None:
            return found
    if url in WHOLE:
        return _value_set(url, f"All codes of {WHOLE[url]}", [{"system": WHOLE[url]}])
    match = _ALL.fullmatch(url)
    if match:
        system = match["system"]
        if not await catalogue.code_systems(system):
            return None
        code = match["code"]
        rules = [_filter("concept", "is-a", unquote(code))] if code else []
        title = f"{unquote(code)} and what is below it in {system}" if code else f"All codes of {system}"
        return _value_set(url, title, [_include(system, "", rules)])
    return await _of_code_system(url, catalogue)


def _of_expression(url: str) -> Json:
    text = unquote(url.removeprefix(vcl.BASE))
    try:
        compose = vcl.compose(text)
    except vcl.InvalidExpression as error:
        raise TxError(issue.EXPRESSION_NOT_UNDERSTOOD.issue(value_set=url[:200], reason=error)) from None
    return _value_set(url, f"What satisfies {text[:200]}", ()) | {"compose": compose}


def _of_snomed(url: str) -> Json | None:
    match = _SNOMED.fullmatch(url)
    if match is None:
        return None
    version = f"{SNOMED}{match['edition']}" if match["edition"] else ""
    kind, _, argument = (match["rule"] or "").partition("/")
    argument = unquote(argument)
    known = _SCTID.fullmatch(argument) is not None
    if not kind and not argument:
        rules, title = [], "All concepts of SNOMED CT"
    elif kind == "isa" and known:
        rules, title = (
            [_filter("concept", "is-a", argument)],
            f"The concept {argument} of SNOMED CT and what is below it",
        )
    elif kind == "refset" and not argument:
        rules, title = [_filter("concept", "descendent-of", REFERENCE_SETS)], "All reference sets of SNOMED CT"
    elif kind == "refset" and known:
        rules, title = [_filter("concept", "in", argument)], f"Members of the reference set {argument} of SNOMED CT"
    elif kind == "ecl" and argument.strip():
        rules, title = [_filter("constraint", "=", argument)], f"Concepts of SNOMED CT that satisfy {argument[:200]}"
    else:
        return None
    return _value_set(url, title, [_include(SNOMED, version, rules)])


def _of_loinc(url: str) -> Json | None:
    match = _LOINC.fullmatch(url)
    if match is None:
        return None
    code = match["code"]
    name, operator = _LOINC_FILTERS[code[:2]]
    return _value_set(url, f"Codes of LOINC by {code}", [_include(LOINC, "", [_filter(name, operator, code)])])


def _of_ucum(url: str) -> Json | None:
    unit = unquote(url.removeprefix(_UCUM)) if url.startswith(_UCUM) else ""
    if not unit:
        return None
    rules = [_filter("canonical", "=", unit)]
    return _value_set(url, f"Units that convert to {unit[:100]}", [_include(ucum.URL, "", rules)])


async def _of_code_system(url: str, catalogue: Catalogue) -> Json | None:
    systems = sorted(await catalogue.systems_of(url))
    if not systems:
        return None
    return _value_set(url, f"All codes of {systems[0]}", [{"system": systems[0]}])


def _include(system: str, version: str, rules: Sequence[Json]) -> Json:
    return {"system": system} | ({"version": version} if version else {}) | ({"filter": list(rules)} if rules else {})


def _filter(name: str, operator: str, value: str) -> Json:
    return {"property": name, "op": operator, "value": value}


def _value_set(url: str, title: str, include: Sequence[Json]) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": url,
        "name": "Implicit",
        "title": title,
        "status": "active",
        "experimental": False,
        "compose": {"include": list(include)},
    }
