"""Code systems that are lists of standards bodies: countries, currencies, languages and time zones."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from terminology.codesystem.listed import Listed
from terminology.codesystem.provider import CodeSystemProvider

Json = dict[str, Any]

COUNTRIES = "urn:iso:std:iso:3166"
SUBDIVISIONS = "urn:iso:std:iso:3166:-2"
FORMER_COUNTRIES = "urn:iso:std:iso:3166:-3"
CURRENCIES = "urn:iso:std:iso:4217"
LANGUAGES = "urn:iso:std:iso:639"
TIME_ZONES = "https://www.iana.org/time-zones"
REGIONS = "http://unstats.un.org/unsd/methods/m49/m49.htm"

WITHDRAWN: Mapping[str, str] = {
    "ANG": "Netherlands Antillean Guilder",
    "BGN": "Bulgarian Lev",
    "CUC": "Peso Convertible",
    "HRK": "Kuna",
    "SLL": "Leone",
    "VEF": "Bolívar",
    "ZWL": "Zimbabwe Dollar",
}
"""Currencies that were withdrawn since 2018."""

_OF_HL7 = "http://terminology.hl7.org/CodeSystem"
_USER_ASSIGNED = (
    "AA", "ZZ", *(f"Q{letter}" for letter in "MNOPQRSTUVWXYZ"), *(f"X{letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
)  # fmt: skip
_CODES_CHANGED = "2018"
"""Edition of ISO 3166-1 since which names have changed, and codes not."""


def countries() -> CodeSystemProvider:
    """Return the countries of ISO 3166-1 by two letters, three letters and digits, and what users may assign."""
    import pycountry

    rows = list(pycountry.countries)
    found = [_country(row, name) for name in ("numeric", "alpha_2", "alpha_3") for row in rows]
    found += [{"code": code, "display": "User-assigned"} for code in _USER_ASSIGNED]
    return _list(
        COUNTRIES,
        "ISO3166",
        "Countries (ISO 3166-1)",
        sorted(found, key=_code),
        version=_CODES_CHANGED,
        properties={"alpha-2": "code", "alpha-3": "code", "numeric": "code"},
    )


def countries_by(name: str, url: str, title: str) -> Callable[[], CodeSystemProvider]:
    """Return what makes the countries by one kind of code.

    Args:
        name: `alpha_2`, `alpha_3` or `numeric`.
        url: System URI.
        title: For people.
    """

    def made() -> CodeSystemProvider:
        import pycountry

        found = sorted((_country(row, name) for row in pycountry.countries), key=_code)
        properties = {"alpha-2": "code", "alpha-3": "code", "numeric": "code"}
        return _list(url, f"ISO3166{name}", title, found, version=_CODES_CHANGED, properties=properties)

    return made


def subdivisions() -> CodeSystemProvider:
    """Return the provinces, states, counties and so on of countries (ISO 3166-2), those that are parts of others below them."""
    import pycountry

    rows = list(pycountry.subdivisions)
    codes = {row.code for row in rows}
    found = [
        {
            "code": row.code,
            "display": row.name,
            "property": [
                {"code": "country", "valueCode": row.country_code},
                {"code": "type", "valueString": row.type},
                *([{"code": "parent", "valueCode": row.parent_code}] if row.parent_code in codes else []),
            ],
        }
        for row in rows
    ]
    properties = {"country": "code", "type": "string", "parent": "code"}
    title = "Subdivisions of countries (ISO 3166-2)"
    return _list(SUBDIVISIONS, "ISO3166Part2", title, found, properties=properties, hierarchy="part-of")


def former_countries() -> CodeSystemProvider:
    """Return the countries that are none any more (ISO 3166-3)."""
    import pycountry

    found = [{"code": row.alpha_4, "display": row.name} for row in pycountry.historic_countries]
    return _list(FORMER_COUNTRIES, "ISO3166Part3", "Former countries (ISO 3166-3)", found)


def currencies() -> CodeSystemProvider:
    """Return the currencies of ISO 4217, and as inactive those that were withdrawn since 2018: records have them."""
    import pycountry

    found: dict[str, Json] = {
        code: {"code": code, "display": name, "property": [{"code": "inactive", "valueBoolean": True}]}
        for code, name in WITHDRAWN.items()
    }
    for row in pycountry.currencies:
        stated = [{"code": "numeric", "valueCode": row.numeric}]
        found[row.alpha_3] = {"code": row.alpha_3, "display": row.name, "property": stated}
    rows = [found[code] for code in sorted(found)]
    properties = {"numeric": "code", "inactive": "boolean"}
    return _list(CURRENCIES, "ISO4217", "Currencies (ISO 4217)", rows, properties=properties)


def languages(*kinds: str, url: str, title: str) -> Callable[[], CodeSystemProvider]:
    """Return what makes the languages by some kinds of code.

    Args:
        kinds: `alpha_2`, `alpha_3`, or `family` for groups of languages.
        url: System URI.
        title: For people.
    """

    def made() -> CodeSystemProvider:
        import pycountry

        found: dict[str, str] = {}
        for kind in kinds:
            rows = pycountry.language_families if kind == "family" else pycountry.languages
            for row in rows:
                code = getattr(row, "alpha_3" if kind == "family" else kind, None)
                if code:
                    found.setdefault(code, row.name)
        name = f"ISO639{'And'.join(kinds)}"
        return _list(url, name, title, [{"code": code, "display": found[code]} for code in sorted(found)])

    return made


def time_zones() -> CodeSystemProvider:
    """Return the time zones of IANA as this machine has them."""
    import zoneinfo

    tables = (Path(path) / "tzdata.zi" for path in zoneinfo.TZPATH)
    table = next((path for path in tables if path.is_file()), None)
    version = ""
    if table is not None:
        with table.open(encoding="utf-8") as file:
            version = file.readline().removeprefix("# version ").strip()
    found = [{"code": zone, "display": zone} for zone in sorted(zoneinfo.available_timezones())]
    return _list(TIME_ZONES, "IANATimeZones", "Time zones (IANA)", found, version=version)


def regions() -> CodeSystemProvider:
    """Return the regions and countries of the United Nations' M49, as far as tags of languages or ISO 3166-1 have them."""
    import pycountry
    from langcodes.registry_parser import parse_registry

    found: dict[str, Json] = {}
    registry = parse_registry()  # type: ignore[no-untyped-call]  # langcodes leaves it out
    named = [(row["Subtag"], row["Description"][0], "region") for row in registry if row["Type"] == "region"]
    named += [(row.numeric, row.name, "country") for row in pycountry.countries]
    for code, name, kind in named:
        if code.isdigit():
            found[code] = {"code": code, "display": name, "property": [{"code": "class", "valueCode": kind}]}
    rows = [found[code] for code in sorted(found)]
    return _list(
        REGIONS, "M49", "Regions and countries of the United Nations (M49)", rows, properties={"class": "code"}
    )


LISTS: Mapping[str, Callable[[], CodeSystemProvider]] = (
    {
        COUNTRIES: countries,
        SUBDIVISIONS: subdivisions,
        FORMER_COUNTRIES: former_countries,
        CURRENCIES: currencies,
        TIME_ZONES: time_zones,
        REGIONS: regions,
        LANGUAGES: languages("alpha_2", "alpha_3", "family", url=LANGUAGES, title="Languages (ISO 639)"),
    }
    | {
        url: countries_by(name, url, f"Countries by {words} (ISO 3166-1)")
        for url, name, words in (
            (f"{_OF_HL7}/iso3166-1edition2alpha2", "alpha_2", "two letters"),
            (f"{_OF_HL7}/iso3166-1edition2alpha3", "alpha_3", "three letters"),
            (f"{_OF_HL7}/iso3166-1edition2numeric", "numeric", "digits"),
        )
    }
    | {
        url: languages(kind, url=url, title=title)
        for kind, title, urls in (
            ("alpha_2", "Languages by two letters (ISO 639-1)", (f"{LANGUAGES}:-1", f"{_OF_HL7}/iso639-1")),
            ("alpha_3", "Languages by three letters (ISO 639-3)", (f"{LANGUAGES}:-3", f"{_OF_HL7}/iso639-3")),
        )
        for url in urls
    }
)
"""What makes each list, by its system URI."""


def _country(row: Any, name: str) -> Json:
    display = row.name
    others = (getattr(row, name, "") for name in ("common_name", "official_name"))
    also = dict.fromkeys(one for one in others if one and one != display)
    return {
        "code": getattr(row, name),
        "display": display,
        "designation": [{"language": "en", "value": one} for one in also],
        "property": [
            {"code": "alpha-2", "valueCode": row.alpha_2},
            {"code": "alpha-3", "valueCode": row.alpha_3},
            {"code": "numeric", "valueCode": row.numeric},
        ],
    }


def _code(row: Json) -> str:
    code: str = row["code"]
    return code


def _list(
    url: str,
    name: str,
    title: str,
    concepts: Iterable[Json],
    *,
    version: str = "",
    properties: Mapping[str, str] | None = None,
    hierarchy: str = "",
) -> CodeSystemProvider:
    rows = list(concepts)
    resource: Json = {
        "resourceType": "CodeSystem",
        "url": url,
        "name": name,
        "title": title,
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "language": "en",
        "count": len(rows),
        "property": [{"code": code, "type": kind} for code, kind in (properties or {}).items()],
        "concept": rows,
    }
    resource |= {key: value for key, value in (("version", version), ("hierarchyMeaning", hierarchy)) if value}
    return Listed(resource)
