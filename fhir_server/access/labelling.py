"""The labelling service: which codes make a resource sensitive (DS4P Security Labelling Service, docs/labels.md).

The table is modest and no clinical authority: it knows the plainest codes of each kind. A deployment replaces it by its own
(`access.sensitive`).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_server.model import json
from fhir_server.settings import SENSITIVITIES
from profiles.definitions.registry import Definitions

SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ATC = "http://www.whocc.no/atc"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"

BEGINNING = "*"
"""At the end of a code: every code that begins so."""

Table = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Codes by label and code system."""

_HIV = ("B20*", "B21*", "B22*", "B23*", "B24*", "Z21*", "R75*", "O98.7*")
_USE = ("F10*", "F11*", "F12*", "F13*", "F14*", "F15*", "F16*", "F18*", "F19*")
_MIND = ("F2*", "F30*", "F31*", "F32*", "F33*", "F34*", "F39*", "F4*", "F60*")
_VIOLENCE = ("T74*", "T76*", "Y07*")

SENSITIVE: Table = {
    "HIV": {
        SCT: ("86406008", "62479008", "165816005", "91947003", "699433000"),
        LOINC: ("7917-8", "7918-6", "20447-9", "25836-8", "55277-8", "56888-1", "75622-1"),
        ATC: ("J05AR*",),
        ICD_10: _HIV,
        ICD_10_CM: _HIV,
    },
    "ETH": {
        SCT: ("7200002", "66590003", "66214007", "26416006", "15167005", "191816009", "75544000", "5602001"),
        ATC: ("N07BB*", "N07BC*"),
        ICD_10: _USE,
        ICD_10_CM: _USE,
    },
    "PSY": {
        SCT: ("74732009", "35489007", "370143000", "58214004", "13746004", "69322001", "197480006", "47505003"),
        LOINC: ("44249-1", "44261-6"),
        ICD_10: _MIND,
        ICD_10_CM: _MIND,
    },
    "SDV": {
        SCT: ("706893006", "412732008"),
        ICD_10: _VIOLENCE,
        ICD_10_CM: _VIOLENCE,
    },
}


class Labeller:
    """Tells the sensitivities of resources.

    Args:
        definitions: Say which types are about patients; others, such as a ValueSet that lists sensitive codes, get no label.
        file: A JSON file with a table of the same form, in place of the one that is shipped; `None` for that.

    Raises:
        ValueError: The file is not of this form.
        OSError: It cannot be read.
    """

    def __init__(self, definitions: Definitions, file: Path | None = None) -> None:
        table = _read(file) if file else SENSITIVE
        self._types = frozenset(definitions.compartments["Patient"].members)
        self._exact: dict[tuple[str, str], list[str]] = {}
        self._beginnings: list[tuple[str, str, str]] = []
        texts = []
        for label, systems in table.items():
            for system, codes in systems.items():
                for code in codes:
                    if code.endswith(BEGINNING):
                        self._beginnings.append((system, code[:-1], label))
                        texts.append(re.escape(code[:-1]))
                    else:
                        self._exact.setdefault((system, code), []).append(label)
                        texts.append(re.escape(code) + '"')
        # One look at the JSON spares nearly all resources the walk; it costs some ten microseconds.
        self._maybe = re.compile(('"code":"(?:' + "|".join(texts) + ")").encode()) if texts else None

    def labels(self, resource: Mapping[str, Any], wire: bytes) -> list[str]:
        """Return the labels that the codes of a resource call for, sorted.

        Args:
            resource: Structurally valid.
            wire: The same as compact JSON.
        """
        if self._maybe is None or resource["resourceType"] not in self._types or not self._maybe.search(wire):
            return []
        found: set[str] = set()
        for system, code in _codings(resource):
            found.update(self._exact.get((system, code), ()))
            found.update(label for of, start, label in self._beginnings if of == system and code.startswith(start))
        return sorted(found)


def _codings(value: Any) -> Iterator[tuple[str, str]]:
    """Yield system and code of everything in a resource that has both."""
    if isinstance(value, Mapping):
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield system, code
        for each in value.values():
            yield from _codings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _codings(each)


def _read(file: Path) -> Table:
    said = 'It holds codes by label and code system: {"HIV": {"http://loinc.org": ["7917-8"]}}.'
    try:
        table = json.decode(file.read_bytes())
        return {
            _label(label): {str(system): tuple(map(_code, codes)) for system, codes in systems.items()}
            for label, systems in table.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is no table of sensitive codes: {error}. {said}") from error


def _label(text: Any) -> str:
    if text not in SENSITIVITIES:
        raise ValueError(f"{text!r} is no label; known are {', '.join(sorted(SENSITIVITIES))}")
    return str(text)


def _code(text: Any) -> str:
    if not isinstance(text, str) or not text.rstrip(BEGINNING):
        raise ValueError(f"{text!r} is no code")
    return text
