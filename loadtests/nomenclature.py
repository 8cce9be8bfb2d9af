"""A made-up nomenclature of medicine with the shape of SNOMED CT: as many concepts as are asked for, always the same ones.

A third of the concepts have more than one parent, the mean is 1.3; a concept has about 11 ancestors; there is a synonym and a
fully specified name for most. The words are made up.
"""

import random
from collections.abc import Iterator
from itertools import product

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.release import Release, Row

URL = "http://example.org/nomenclature"
FULL = 350_000

ROOTS = 19
"""Concepts right below the first one."""

SPREAD = 2.5
"""The greater it is, the nearer to the top new concepts stand, and the fewer ancestors they have."""

FSN = {"system": "http://snomed.info/sct", "code": "900000000000003001", "display": "Fully specified name"}
SYNONYM = {"system": "http://snomed.info/sct", "code": "900000000000013009", "display": "Synonym"}
KINDS = ("disorder", "procedure", "body structure", "finding", "substance", "organism", "product", "observable entity")
COMMON = ("of", "structure", "left", "right", "chronic", "acute", "entire", "with", "due to", "primary", "disease")
PROPERTIES = {
    "site": PropertyDefinition("site", "Coding"),
    "module": PropertyDefinition("module", "code"),
    "defined": PropertyDefinition("defined", "boolean"),
}
_BEGIN = ("ar", "be", "cor", "du", "en", "fi", "gas", "hep", "in", "ju", "ker", "lar", "my", "ne", "os", "pul", "qua", "re", "sin", "tro", "ul", "ve")  # fmt: skip
_MIDDLE = ("a", "bi", "ca", "de", "fe", "gi", "la", "mo", "ni", "pa", "ra", "so", "ti", "va")
_END = (
    "itis",
    "osis",
    "oma",
    "al",
    "ic",
    "ex",
    "um",
    "us",
    "ia",
    "or",
    "ectomy",
    "scopy",
    "gram",
    "plasty",
    "pathy",
    "algia",
)
_WORDS = tuple("".join(parts) for parts in product(_BEGIN, _MIDDLE, _END))


_LENGTHS = (1, 2, 2, 3)


def head(count: int, version: str = "1") -> Head:
    """Return what is said of the nomenclature as a whole."""
    return Head(
        URL, version, "Nomenclature", "A nomenclature", hierarchy="is-a", properties=PROPERTIES, count=count,
        compositional=True,
    )  # fmt: skip


def code(ordinal: int) -> str:
    """Return the code of a concept."""
    return str(100_000_000 + ordinal * 7)


def rows(count: int) -> Iterator[Row]:
    """Yield the concepts; cheaply, because whoever loads them is measured."""
    chance = random.Random(7).random
    codes = [code(ordinal) for ordinal in range(count)]
    modules = [Property("module", str(number), "code") for number in range(7)]
    yield Row(codes[0], "Nomenclature concept")
    for ordinal in range(1, count):
        words = [_WORDS[int(len(_WORDS) * chance())] for _ in range(_LENGTHS[int(4 * chance())])]
        words.insert(int((len(words) + 1) * chance()), COMMON[int(len(COMMON) * chance())])
        display = " ".join(words).capitalize()
        designations = [Designation(f"{display} ({KINDS[ordinal % len(KINDS)]})", "en", FSN)]
        if chance() < 0.6:
            designations.append(Designation(f"{_WORDS[int(len(_WORDS) * chance())]} {words[-1]}", "en", SYNONYM))
        site = {"system": URL, "code": codes[int(ordinal * chance() ** 3)]}
        drawn = chance()
        wanted = 1 if drawn < 0.75 else 2 if drawn < 0.95 else 3
        parents = {max(int(ordinal * chance() ** SPREAD), 1) for _ in range(wanted)} if ordinal > ROOTS else {0}
        yield Row(
            codes[ordinal],
            display,
            designations=tuple(designations),
            properties=(Property("site", site, "Coding"), modules[ordinal % 7]),
            parents=tuple([codes[one] for one in parents]),
            inactive=ordinal % 40 == 39,
            abstract=ordinal < ROOTS,
        )


def release(count: int = FULL, version: str = "1") -> Release:
    """Return the nomenclature as a release."""
    return Release(head(count, version), f"nomenclature {count}", lambda: rows(count))
