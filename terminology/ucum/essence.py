"""The table of units that UCUM publishes (`ucum-essence.xml`): prefixes, base units, defined units."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FILE = Path(__file__).parent.parent / "data" / "ucum-essence.xml"

_SPACE = "{http://unitsofmeasure.org/ucum-essence}"


@dataclass(frozen=True, slots=True)
class Definition:
    """How a unit is defined: so many times another unit.

    Attributes:
        value: How many times.
        unit: The other unit, an expression of UCUM; `1` for a pure number.
        metric: Whether it takes prefixes.
        arbitrary: Whether it is a unit of a procedure, which converts to no other (`[iU]`).
        function: Of a special unit the function of its scale, which the value and the unit are the argument of; else empty.
        base: Whether it is a base unit, defined by nothing else.
    """

    value: Fraction = Fraction(1)
    unit: str = "1"
    metric: bool = True
    arbitrary: bool = False
    function: str = ""
    base: bool = False


@dataclass(frozen=True, slots=True)
class Essence:
    """The whole table.

    Attributes:
        version: Version of UCUM.
        prefixes: Factor of each prefix, by its case sensitive code.
        units: Definition of each unit, by its case sensitive code.
        names: Names of units and prefixes in English, by their case sensitive codes; prefixes end with a hyphen.
        properties: What each unit measures, such as `length`, by its case sensitive code.
    """

    version: str
    prefixes: Mapping[str, Fraction]
    units: Mapping[str, Definition]
    names: Mapping[str, str]
    properties: Mapping[str, str]


def read(path: Path | None = None) -> Essence:
    """Return the table of a file, by default the one that is shipped.

    Raises:
        OSError: It is missing or cannot be read.
        ValueError: It is not the essence of UCUM.
    """
    # Most processes need it once or never, and the reader of XML takes as long to import as the file to read.
    from xml.etree import ElementTree as ET

    try:
        root = ET.parse(path or FILE).getroot()  # noqa: S314 - shipped, or the operator's own
        return Essence(
            version=root.get("version", ""),
            prefixes={row.attrib["Code"]: _value(row) for row in root.iter(f"{_SPACE}prefix")},
            units={row.attrib["Code"]: Definition(base=True) for row in root.iter(f"{_SPACE}base-unit")}
            | {row.attrib["Code"]: _definition(row) for row in root.iter(f"{_SPACE}unit")},
            names={
                f"{row.attrib['Code']}{end}": row.findtext(f"{_SPACE}name", "")
                for tag, end in (("prefix", "-"), ("base-unit", ""), ("unit", ""))
                for row in root.iter(f"{_SPACE}{tag}")
            },
            properties={
                row.attrib["Code"]: row.findtext(f"{_SPACE}property", "")
                for tag in ("base-unit", "unit")
                for row in root.iter(f"{_SPACE}{tag}")
            },
        )
    except (SyntaxError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path or FILE} is not the essence of UCUM ({error}). Take it from unitsofmeasure.org."
        ) from error


def _definition(row: "Element") -> Definition:
    value = row.find(f"{_SPACE}value/{_SPACE}function") if row.get("isSpecial") == "yes" else row.find(f"{_SPACE}value")
    if value is None:
        raise ValueError(f"the unit {row.get('Code')} is not defined")
    return Definition(
        value=Fraction(value.attrib["value"]),
        unit=value.attrib["Unit"],
        metric=row.get("isMetric") == "yes",
        arbitrary=row.get("isArbitrary") == "yes",
        function=value.get("name", ""),
    )


def _value(row: "Element") -> Fraction:
    value = row.find(f"{_SPACE}value")
    if value is None:
        raise ValueError(f"the prefix {row.get('Code')} has no value")
    return Fraction(value.attrib["value"])
