"""Versions: which version of a code system or value set is meant (R5 canonical matching, version parameters of requests).

A version is wanted by a canonical (`url|1.2.0`), by an element (`compose.include.version`, `Coding.version`) or by a parameter of a
request. What is wanted may be exact, have wildcards (`1.x`, `1.0.x`, `2.*`), or be the beginning of a date (`2023` for `2023-05-01`)
or of a URI (a SNOMED CT edition for its releases). Of several that fit, and where nothing is said, the newest is meant, by the
version algorithm of the resource.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider

Json = dict[str, Any]

ALGORITHM_EXTENSIONS = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm",
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-CodeSystem.versionAlgorithm",
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.versionAlgorithm",
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-CodeSystem.versionAlgorithm[x]",
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.versionAlgorithm[x]",
    }
)

WILDCARDS = frozenset("xX*")

SEMVER = re.compile(r"(0|[1-9]\d*)(?:\.(0|[1-9]\d*))(?:\.(0|[1-9]\d*))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
DATE = re.compile(r"\d{4}(?:-?\d{2}(?:-?\d{2}(?:T.*)?)?)?")
DAY = re.compile(r"\d{4}-\d{2}(?:-\d{2}(?:T.*)?)?")
INTEGER = re.compile(r"\d+")
CHUNKS = re.compile(r"\d+|\D+")

Key = tuple[Any, ...]

Versioned = TypeVar("Versioned")


@dataclass(frozen=True, slots=True)
class Rule:
    """A version parameter of a request.

    Attributes:
        parameter: Its name, such as `force-system-version`.
        url: The code system or value set that it speaks of.
        version: What is wanted of it.
    """

    parameter: str
    url: str
    version: str

    @property
    def canonical(self) -> str:
        """URL and version, as the parameter has them."""
        return f"{self.url}|{self.version}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What version is wanted.

    Attributes:
        version: Exact, partial or with wildcards; empty where any will do, and so the newest.
        rule: The parameter that says so, `None` where it is the resource itself, or nobody.
    """

    version: str
    rule: Rule | None = None


class ConflictingVersions(Exception):
    """Two parameters want two versions of the same; its text is a sentence for users.

    Args:
        one: The first of them.
        other: The second.
    """

    def __init__(self, one: Rule, other: Rule) -> None:
        super().__init__(
            f"The parameter {one.parameter} asks for the versions '{one.version}' and '{other.version}' of '{one.url}'. "
            "Ask for one of them."
        )
        self.one, self.other = one, other


class UnreadableVersion(Exception):
    """A version parameter that is no canonical with a version; its text is a sentence for users."""


FORCED = ("force-system-version", "force-valueset-version")
CHECKED = ("check-system-version", "check-valueset-version")
DEFAULTS = ("system-version", "default-valueset-version")
PARAMETERS = (*DEFAULTS, *CHECKED, *FORCED)
"""The version parameters of requests, each with values `url|version`."""


@dataclass(frozen=True, slots=True)
class VersionRules:
    """The version parameters of a request.

    Attributes:
        rules: In the order of the request.
    """

    rules: tuple[Rule, ...] = ()

    @classmethod
    def read(cls, parameters: Mapping[str, Iterable[str]]) -> "VersionRules":
        """Return the rules of a request.

        Args:
            parameters: Values by name; other names than `PARAMETERS` are passed over.

        Raises:
            UnreadableVersion: A value is not `url|version`.
        """
        found = []
        for name in PARAMETERS:
            for value in parameters.get(name, ()):
                url, version = split(value)
                if not url or not version:
                    raise UnreadableVersion(
                        f"The parameter {name} is '{value[:200]}'. Give the URL and the version, as in http://loinc.org|2.77."
                    )
                found.append(Rule(name, url, version))
        return cls(tuple(found))

    def wanted(self, url: str, stated: str = "") -> Wanted:
        """Return what version of a code system or value set is wanted: forced, else stated, else default, else to be checked.

        Args:
            url: Of the code system or value set.
            stated: The version that the canonical or element itself has, or nothing.

        Raises:
            ConflictingVersions: Two parameters of one name want two versions.
        """
        forced = self._of(url, FORCED)
        if forced is not None:
            return Wanted(forced.version, forced)
        if stated:
            return Wanted(stated)
        rule = self._of(url, DEFAULTS) or next(iter(self.checks(url)), None)
        return Wanted(rule.version, rule) if rule else Wanted("")

    def checks(self, url: str) -> Sequence[Rule]:
        """Return the rules that refuse other versions of a code system or value set than theirs."""
        return [rule for rule in self.rules if rule.url == url and rule.parameter in CHECKED]

    def broken(self, url: str, version: str, algorithm: str = "") -> Sequence[Rule]:
        """Return the rules that refuse a version."""
        return [rule for rule in self.checks(url) if not matches(rule.version, version, algorithm)]

    def _of(self, url: str, names: Sequence[str]) -> Rule | None:
        found: Rule | None = None
        for rule in self.rules:
            if rule.url == url and rule.parameter in names:
                if found is not None and found.version != rule.version:
                    raise ConflictingVersions(found, rule)
                found = found or rule
        return found


NO_RULES = VersionRules()


async def code_system(catalogue: Catalogue, url: str, wanted: str = "") -> CodeSystemProvider | None:
    """Return the version of a code system that is meant, `None` where there is none.

    Args:
        catalogue: Where it is looked for.
        url: Its system URI.
        wanted: Exact, partial or with wildcards; empty for the newest.
    """
    return newest(await catalogue.code_systems(url), wanted, lambda one: (one.head.version, one.head.version_algorithm))


async def value_set(catalogue: Catalogue, url: str, wanted: str = "") -> Json | None:
    """Return the version of a value set that is meant, `None` where there is none."""
    return newest(await catalogue.value_sets(url), wanted, of_resource)


def of_resource(resource: Json) -> tuple[str, str]:
    """Return version and version algorithm of a canonical resource, each empty where it is not stated."""
    version = resource.get("version")
    return (version if isinstance(version, str) else ""), algorithm(resource)


def algorithm(resource: Json) -> str:
    """Return the version algorithm of a canonical resource: an R5 element or, in R4, an extension; empty where there is none."""
    extensions = resource.get("extension")
    rows = [resource]
    rows += [
        row
        for row in (extensions if isinstance(extensions, list) else ())
        if isinstance(row, dict) and row.get("url") in ALGORITHM_EXTENSIONS
    ]
    for row in rows:
        for name in ("versionAlgorithmCoding", "valueCoding"):
            coding = row.get(name)
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                return str(coding["code"])
        for name in ("versionAlgorithmString", "valueString", "valueCode"):
            if isinstance(row.get(name), str):
                return str(row[name])
    return ""


def newest(
    candidates: Sequence[Versioned], wanted: str, of: Callable[[Versioned], tuple[str, str]]
) -> Versioned | None:
    """Return the newest of those that fit what is wanted, `None` where none does.

    Args:
        candidates: Those at hand; of equal versions the first counts.
        wanted: Exact, partial or with wildcards; empty for any.
        of: Version and version algorithm of a candidate.
    """
    fitting = [(one, *of(one)) for one in candidates]
    if wanted:
        exact = [row[0] for row in fitting if row[1] == wanted]
        if exact:
            return exact[0]
        fitting = [row for row in fitting if matches(wanted, row[1], row[2])]
    if len(fitting) < 2:
        return fitting[0][0] if fitting else None
    key = ordering([row[1] for row in fitting], next((row[2] for row in fitting if row[2]), ""))
    return max(fitting, key=lambda row: key(row[1]))[0]


def ordered(versions: Iterable[str], algorithm: str = "") -> list[str]:
    """Return versions, the oldest first."""
    found = list(versions)
    return sorted(found, key=ordering(found, algorithm))


def ordering(versions: Iterable[str], algorithm: str = "") -> Callable[[str], Key]:
    """Return what orders versions: by their algorithm, or by the first that all of them follow; having none is oldest."""
    given = [version for version in versions if version]
    shape = SHAPES.get(algorithm)
    if shape is None or not all(shape[0](version) for version in given):
        if algorithm == "alpha":
            return lambda version: (version,)
        shape = next((row for row in SHAPES.values() if all(row[0](version) for version in given)), None)
    if shape is not None:
        key = shape[1]
        return lambda version: (1, *key(version)) if version else (0,)
    # Code systems that went over from days to numbers, as those of HL7 did, go on with the numbers.
    return lambda version: (1, DAY.fullmatch(version) is None, *_natural(version)) if version else (0,)


@lru_cache(maxsize=4096)
def matches(wanted: str, version: str, algorithm: str = "") -> bool:
    """Return whether a version is what is wanted.

    Args:
        wanted: Exact; with wildcards `x`, `X` or `*` for parts between dots, of which the last stands for all that follow; ending in
            `?` for whatever begins so; the beginning of a date or URI. Empty for any.
        version: Of a code system or value set.
        algorithm: Its version algorithm, empty where it has none.
    """
    if not wanted or wanted == version:
        return True
    if not version:
        return False
    if wanted.endswith("?"):
        return version.startswith(wanted[:-1])
    parts = wanted.split(".")
    if WILDCARDS.intersection(parts):
        return _fits(parts, version.partition("+")[0].split("."))
    if "://" in wanted:
        return version.startswith(f"{wanted}/")
    if algorithm == "date" or (not algorithm and DATE.fullmatch(version) and DATE.fullmatch(wanted)):
        plain, short = version.replace("-", ""), wanted.replace("-", "")
        return len(short) >= len("2023") and len(short) % 2 == 0 and plain.startswith(short)
    return False


def _fits(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    last = wanted[-1] in WILDCARDS
    if len(parts) < len(wanted) or (len(parts) > len(wanted) and not last):
        return False
    return all(part in WILDCARDS or part == given for part, given in zip(wanted, parts, strict=False))


def more_detailed(wanted: str, version: str, algorithm: str = "") -> bool:
    """Return whether a version says more exactly what is wanted."""
    return wanted != version and matches(wanted, version, algorithm)


def split(canonical: str) -> tuple[str, str]:
    """Return URL and version of a canonical; the version is empty where it has none, and a fragment stays with the URL."""
    url, _, version = canonical.partition("|")
    return url, version


def enumerated(versions: Sequence[str]) -> str:
    """Return versions as a phrase: `1.0.0`, `1.0.0 or 1.2.0`, `1.0.0, 1.1.0 and 1.2.0`."""
    if len(versions) <= 2:
        return " or ".join(versions)
    return f"{', '.join(versions[:-1])} and {versions[-1]}"


def _semver(version: str) -> Key:
    found = SEMVER.fullmatch(version)
    if found is None:
        return _natural(version)
    numbers = tuple(int(part or 0) for part in found.groups()[:3])
    label = found.group(4)
    return (*numbers, 1 if label is None else 0, _natural(label or ""))


def _natural(version: str) -> Key:
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in CHUNKS.findall(version))


SHAPES: Mapping[str, tuple[Callable[[str], object], Callable[[str], Key]]] = {
    "integer": (INTEGER.fullmatch, lambda version: (int(version),)),
    "date": (DATE.fullmatch, lambda version: (version.replace("-", ""),)),
    "semver": (SEMVER.fullmatch, _semver),
}
"""What versions of an algorithm look like, and what they are ordered by; the rest is in natural order: numbers as numbers."""
