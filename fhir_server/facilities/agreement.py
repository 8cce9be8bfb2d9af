"""What the member of a network agrees to share: the extension `sharing-agreement` of an OrganizationAffiliation (docs/hierarchy.md).

Each member has its own agreement with the network. Between two members both count: the stricter word of each holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

OWN = "https://aquifer.example/fhir"
SHARING = f"{OWN}/StructureDefinition/sharing-agreement"
RESIDENCY = f"{OWN}/StructureDefinition/residency"

TreatmentAccess = Literal["none", "relationship", "network"]
Rollup = Literal["none", "aggregate", "deidentified", "identified"]

TREATMENT: tuple[TreatmentAccess, ...] = ("none", "relationship", "network")
"""Who of the other members treats our patients: nobody, who has a relationship with the patient, everybody. Strictest first."""

ROLLUPS: tuple[Rollup, ...] = ("none", "aggregate", "deidentified", "identified")
"""What reports of the network may count of us. Strictest first."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one member agrees to.

    Attributes:
        treatment_access: A word of `TREATMENT`.
        rollup: A word of `ROLLUPS`.
        directory: Whether the network lists the member.
        emergency: Whether staff of other members may break the glass.
        export_recipients: Organizations that exports may go to.
        residency: Zone that the records have to stay in, empty for any.
    """

    treatment_access: TreatmentAccess = "none"
    rollup: Rollup = "none"
    directory: bool = False
    emergency: bool = False
    export_recipients: frozenset[str] = frozenset()
    residency: str = ""

    def extension(self) -> dict[str, Any]:
        """Return it as the extension."""
        rows: list[dict[str, Any]] = [
            {"url": "treatmentAccess", "valueCode": self.treatment_access},
            {"url": "rollup", "valueCode": self.rollup},
            {"url": "directory", "valueBoolean": self.directory},
            {"url": "emergency", "valueBoolean": self.emergency},
        ]
        rows += [
            {"url": "exportRecipients", "valueReference": {"reference": f"Organization/{each}"}}
            for each in sorted(self.export_recipients)
        ]
        rows += [{"url": "residency", "valueCode": self.residency}] if self.residency else []
        return {"url": SHARING, "extension": rows}


NOTHING_AGREED = Agreement()
"""What holds where an affiliation says nothing."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with an extension, and where in its resource."""

    text: str
    place: str


def read(resource: Mapping[str, Any]) -> tuple[Agreement, list[Wrong]]:
    """Return the agreement of an OrganizationAffiliation, and what of it cannot be read; that part is taken as not agreed."""
    found = [(number, one) for number, one in enumerate(_extensions(resource)) if one.get("url") == SHARING]
    if not found:
        return NOTHING_AGREED, []
    wrong = [Wrong("There are two sharing agreements. Keep one.", f"extension[{number}]") for number, _ in found[1:]]
    if wrong:
        return NOTHING_AGREED, wrong
    number, extension = found[0]
    values: dict[str, list[tuple[Any, str]]] = {}
    for place, row in enumerate(_extensions(extension)):
        at = f"extension[{number}].extension[{place}]"
        value = next((value for name, value in row.items() if name.startswith("value")), None)
        values.setdefault(str(row.get("url", "")), []).append((value, at))
    agreement = Agreement(
        cast("TreatmentAccess", _word(values, "treatmentAccess", TREATMENT, wrong)),
        cast("Rollup", _word(values, "rollup", ROLLUPS, wrong)),
        _flag(values, "directory", wrong),
        _flag(values, "emergency", wrong),
        frozenset(_recipients(values.pop("exportRecipients", []), wrong)),
        _zone(values.pop("residency", []), wrong),
    )
    wrong += [
        Wrong(
            f"'{name[:40]}' is no part of a sharing agreement. It has treatmentAccess, rollup, directory, emergency, "
            "exportRecipients and residency.",
            rows[0][1],
        )
        for name, rows in values.items()
    ]
    return agreement, wrong


def zone(resource: Mapping[str, Any]) -> str:
    """Return the zone that an Organization states for its records, empty where it states none."""
    found = (row.get("valueCode") for row in _extensions(resource) if row.get("url") == RESIDENCY)
    return str(next(found, "") or "")


Values = dict[str, list[tuple[Any, str]]]


def _word(values: Values, name: str, words: tuple[str, ...], wrong: list[Wrong]) -> str:
    rows = values.pop(name, [])
    if not rows:
        return words[0]
    value, place = rows[0]
    if len(rows) == 1 and value in words:
        return str(value)
    wrong.append(Wrong(f"{name} is one of {', '.join(words)}, as valueCode, once.", place))
    return words[0]


def _flag(values: Values, name: str, wrong: list[Wrong]) -> bool:
    rows = values.pop(name, [])
    if not rows:
        return False
    value, place = rows[0]
    if len(rows) == 1 and isinstance(value, bool):
        return value
    wrong.append(Wrong(f"{name} is true or false, as valueBoolean, once.", place))
    return False


def _recipients(rows: Iterable[tuple[Any, str]], wrong: list[Wrong]) -> Iterable[str]:
    for value, place in rows:
        text = value.get("reference", "") if isinstance(value, dict) else ""
        kind, _, organization = str(text).partition("/")
        if kind == "Organization" and organization:
            yield organization
        else:
            wrong.append(Wrong("exportRecipients is a reference to an Organization, as valueReference.", place))


def _zone(rows: list[tuple[Any, str]], wrong: list[Wrong]) -> str:
    if not rows:
        return ""
    value, place = rows[0]
    if len(rows) == 1 and isinstance(value, str):
        return value
    wrong.append(Wrong("residency is the name of a zone, as valueCode, once.", place))
    return ""


def _extensions(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = holder.get("extension", [])
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
