"""What of a Patient tells who it is, read once and ready to be compared; and where to look for others like it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.identity.likeness import spelt

PERSONAL = frozenset({"NI", "NIIP", "SS", "PPN", "PRC", "DL", "CZ", "TAX", "BCT", "PN"})
"""Identifier types (v2-0203) of which one person has one value: two values are two persons."""

ID_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
WITHOUT_NAME = frozenset({"temp", "anonymous", "old"})
"""Uses of a name that is nobody's, or no longer anybody's."""

DIGITS = 8
"""Last digits of a telephone number by which two are one, however it is written."""

BEGINNING = 3
"""Letters of a family name that are looked for where more of it may be misspelt."""

_DATE = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?$", re.ASCII)
_ESCAPED = re.compile(r"([\\,|$])")

Pairs = tuple[tuple[str, str], ...]
Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Traits:
    """What tells who somebody is.

    Attributes:
        identifiers: (system, value) pairs.
        personal: System to the values in it, of those that a person has once.
        names: (family, given names) as written, the current one first.
        born: Birth date as written, empty where it is not known.
        gender: Administrative gender, empty where it is not known.
        postal: Postal codes.
        lines: Streets with numbers.
        phones: Last digits of telephone numbers.
        emails: Addresses in small letters.
        order: Order of birth of a twin, 0 for none.
        died: Day of death, empty where it is not known.
    """

    identifiers: frozenset[tuple[str, str]]
    personal: Mapping[str, frozenset[str]]
    names: tuple[tuple[str, tuple[str, ...]], ...]
    born: str
    gender: str
    postal: frozenset[str]
    lines: tuple[str, ...]
    phones: frozenset[str]
    emails: frozenset[str]
    order: int
    died: str

    @property
    def tell(self) -> bool:
        """Return whether there is anything to look for somebody by."""
        return bool(self.identifiers or self.names or self.phones or self.emails)


def of(patient: Resource) -> Traits:
    """Return the traits of a valid Patient."""
    identifiers = [one for one in patient.get("identifier", []) if one.get("value") and one.get("use") != "old"]
    personal: dict[str, set[str]] = {}
    for one in identifiers:
        if one.get("system") and _kinds(one) & PERSONAL:
            personal.setdefault(one["system"], set()).add(one["value"])
    telecom = [one for one in patient.get("telecom", []) if one.get("value") and one.get("use") != "old"]
    addresses = [one for one in patient.get("address", []) if one.get("use") != "old"]
    gender = patient.get("gender", "")
    order = patient.get("multipleBirthInteger", 0)
    phones = (re.sub(r"\D", "", one["value"]) for one in telecom if one.get("system") in {"phone", "sms"})
    return Traits(
        identifiers=frozenset((one["system"], one["value"]) for one in identifiers if one.get("system")),
        personal={system: frozenset(values) for system, values in personal.items()},
        names=tuple(_names(patient)),
        born=patient.get("birthDate", ""),
        gender=gender if gender in {"female", "male"} else "",
        postal=frozenset(spelt(one["postalCode"]) for one in addresses if one.get("postalCode")),
        lines=tuple(spelt(line) for one in addresses for line in one.get("line", []) if line),
        phones=frozenset(number[-DIGITS:] for number in phones if len(number) >= DIGITS - 2),
        emails=frozenset(one["value"].strip().lower() for one in telecom if one.get("system") == "email"),
        order=order if isinstance(order, int) else 0,
        died=str(patient.get("deceasedDateTime", ""))[:10],
    )


def blocks(patient: Resource) -> list[Pairs]:
    """Return the searches, each on an index, one of which finds whoever may be the same person as a valid Patient.

    A misspelt name is found by the birth date, a wrong birth date by the name; what is wrong in both by telephone or identifier.
    """
    traits = of(patient)
    found: dict[Pairs, None] = {}
    for system, value in sorted(traits.identifiers):
        found[(("identifier", f"{_quoted(system)}|{_quoted(value)}"),)] = None
    for one in patient.get("telecom", []):
        if one.get("value") and one.get("system") in {"phone", "email"}:
            found[((one["system"], _quoted(one["value"])),)] = None
    dates = tuple(dict.fromkeys((traits.born, *exchanged(traits.born)))) if traits.born else ()
    for day in dates:
        if len(day) == len("2000-01-01"):
            found[(("birthdate", day),)] = None
    for family, given in traits.names:
        first = (("given", _quoted(given[0])),) if given else ()
        if family and first:
            found[(("family", _quoted(family)), *first)] = None
        for day in dates[:1]:
            beginning = family[:BEGINNING] if family else ""
            part = (("family", _quoted(beginning)),) if beginning.strip() else first
            found[(("birthdate", day), *part)] = None
        if not dates and not (family and first):
            found[(("family", _quoted(family)),) if family else first] = None
    return list(found)


def exchanged(born: str) -> tuple[str, ...]:
    """Return the date with day and month exchanged, where that is another date."""
    parts = _DATE.match(born)
    if parts is None or not parts[3] or parts[2] == parts[3]:
        return ()
    try:
        return (date(int(parts[1]), int(parts[3]), int(parts[2])).isoformat(),)
    except ValueError:
        return ()


def _names(patient: Resource) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in sorted(patient.get("name", []), key=lambda one: one.get("use") == "maiden"):
        family, given = name.get("family", ""), tuple(one for one in name.get("given", []) if one)
        if name.get("use") not in WITHOUT_NAME and (spelt(family) or any(map(spelt, given))):
            yield family, given


def _kinds(identifier: Resource) -> set[str]:
    return {
        one.get("code", "") for one in identifier.get("type", {}).get("coding", []) if one.get("system") == ID_TYPES
    }


def _quoted(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", text)
