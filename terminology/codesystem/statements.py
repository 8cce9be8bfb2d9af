"""What a CodeSystem resource states of its concepts: their hierarchy, their properties and what the standard ones mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from terminology.concept import Concept, Designation, Head, Property, PropertyDefinition

Json = dict[str, Any]

STANDARD = "http://hl7.org/fhir/concept-properties#"
STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
INACTIVE_STATUS = frozenset({"retired", "inactive"})
DATES = {"deprecationDate": "deprecated", "deprecated": "deprecated", "retirementDate": "retired"}
ALGORITHM = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CodeSystem.versionAlgorithm"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The concepts of a resource in the order of its definition, and what is above and below each.

    Attributes:
        rows: Elements of CodeSystem.concept, each code once.
        index: Ordinal by code.
        parents: Ordinals right above, by ordinal.
        children: Ordinals right below, by ordinal.
    """

    rows: Sequence[Json]
    index: Mapping[str, int]
    parents: Sequence[tuple[int, ...]]
    children: Sequence[tuple[int, ...]]


def objects(value: object) -> Iterator[Json]:
    """Yield the objects of a list, nothing of what is no list."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))


def text(value: object) -> str:
    """Return a text as it is, and nothing for what is none."""
    return value if isinstance(value, str) else ""


def outline(resource: Json) -> Head:
    """Return what `head` does, without arranging the concepts: of a thousand code systems it takes no second."""
    codes: dict[str, Json] = {}
    nested = False
    for row, above in _nested(resource):
        codes.setdefault(row["code"], row)
        nested = nested or (above != "" and above != row["code"])
    index = {code: ordinal for ordinal, code in enumerate(codes)}
    placed = nested or any(one != other for one, other in _stated_places(resource, list(codes.values()), index))
    return _head(resource, len(codes), placed=placed)


def head(resource: Json, hierarchy: Hierarchy) -> Head:
    """Return what a CodeSystem resource says of itself; elements of R5 count too."""
    return _head(resource, len(hierarchy.rows), placed=any(hierarchy.parents))


def _head(resource: Json, count: int, *, placed: bool) -> Head:
    algorithm = resource.get("versionAlgorithmString") or resource.get("versionAlgorithmCoding")
    for extension in objects(resource.get("extension")):
        if extension.get("url") == ALGORITHM:
            algorithm = extension.get("valueString") or extension.get("valueCoding") or extension.get("valueCode")
    if isinstance(algorithm, dict):
        algorithm = algorithm.get("code")
    stated = text(resource.get("hierarchyMeaning"))
    return Head(
        url=text(resource.get("url")),
        version=text(resource.get("version")),
        name=text(resource.get("name")),
        title=text(resource.get("title")),
        content=text(resource.get("content")) or "complete",
        status=text(resource.get("status")) or "unknown",
        experimental=resource.get("experimental") is True,
        standards_status=standards_status(resource),
        case_sensitive=resource.get("caseSensitive") is not False,
        language=text(resource.get("language")),
        hierarchy=stated or ("is-a" if placed else ""),
        value_set=text(resource.get("valueSet")),
        compositional=resource.get("compositional") is True,
        version_needed=resource.get("versionNeeded") is True,
        version_algorithm=text(algorithm),
        properties=definitions(resource),
        count=count,
        resource={key: value for key, value in resource.items() if key != "concept"},
    )


def standards_status(element: Json) -> str:
    """Return `deprecated`, `withdrawn` or the like as the standards-status extension has it, or nothing."""
    for extension in objects(element.get("extension")):
        if extension.get("url") == STANDARDS_STATUS:
            return text(extension.get("valueCode"))
    return ""


def definitions(resource: Json) -> dict[str, PropertyDefinition]:
    """Return the properties that a CodeSystem resource declares, by code."""
    return {
        row["code"]: PropertyDefinition(
            row["code"], text(row.get("type")) or "string", text(row.get("uri")), text(row.get("description"))
        )
        for row in objects(resource.get("property"))
        if isinstance(row.get("code"), str)
    }


def standard_codes(declared: Mapping[str, PropertyDefinition], name: str) -> frozenset[str]:
    """Return the codes under which a code system states a standard property: its plain name, and those that mean it."""
    return frozenset({name, *(code for code, one in declared.items() if one.uri == STANDARD + name)})


def stated(row: Json) -> Iterator[tuple[str, str, Any]]:
    """Yield code, FHIR type and value of the properties of a concept."""
    for one in objects(row.get("property")):
        code = one.get("code")
        for key, value in one.items():
            if key.startswith("value") and isinstance(code, str):
                kind = key.removeprefix("value")
                yield code, kind if kind == "Coding" else kind[:1].lower() + kind[1:], value


def hierarchy(resource: Json) -> Hierarchy:
    """Return the concepts of a resource: nested ones, and those that properties put above or below each other.

    A code that stands twice is one concept, below all that it stands below.
    """
    rows: list[Json] = []
    index: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    for row, above in _nested(resource):
        ordinal = index.setdefault(row["code"], len(rows))
        if ordinal == len(rows):
            rows.append(row)
        if above:
            edges[index[above], ordinal] = None
    edges.update(dict.fromkeys(_stated_places(resource, rows, index)))
    parents: list[list[int]] = [[] for _ in rows]
    children: list[list[int]] = [[] for _ in rows]
    for upper, lower in edges:
        if upper != lower:
            parents[lower].append(upper)
            children[upper].append(lower)
    return Hierarchy(rows, index, [tuple(one) for one in parents], [tuple(sorted(one)) for one in children])


def _nested(resource: Json) -> Iterator[tuple[Json, str]]:
    """Yield concepts with the code that they stand under, in the order of the resource."""
    stack: list[tuple[Json, str]] = [(one, "") for one in reversed(list(objects(resource.get("concept"))))]
    while stack:
        row, above = stack.pop()
        code = row.get("code")
        if isinstance(code, str) and code:
            yield row, above
            stack.extend((one, code) for one in reversed(list(objects(row.get("concept")))))


def _stated_places(resource: Json, rows: Sequence[Json], index: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield ordinals above and below, as properties of the concepts have them."""
    declared = definitions(resource)
    up, down = standard_codes(declared, "parent"), standard_codes(declared, "child")
    for ordinal, row in enumerate(rows):
        for name, _, value in stated(row) if "property" in row else ():
            code = value.get("code") if isinstance(value, dict) else value
            other = index.get(code) if isinstance(code, str) else None
            if other is not None and name in up:
                yield other, ordinal
            elif other is not None and name in down:
                yield ordinal, other


class Meaning:
    """What the standard properties of a code system say of a concept.

    Args:
        declared: Its properties.
    """

    def __init__(self, declared: Mapping[str, PropertyDefinition]) -> None:
        self._declared = declared
        self._names = {
            code: name
            for name in ("inactive", "status", "notSelectable", *DATES, "abstract")
            for code in standard_codes(declared, name)
        }
        self._places = standard_codes(declared, "parent") | standard_codes(declared, "child")
        self._today = datetime.now(UTC).date().isoformat()

    def state(self, row: Json) -> tuple[bool, bool, str]:
        """Return whether a concept is inactive, whether it is abstract, and its status."""
        said: dict[str, Any] = {}
        for code, _, value in stated(row):
            name = self._names.get(code)
            if name:
                said.setdefault(name, value)
        status = text(said.get("status")) or standards_status(row)
        for name, meant in DATES.items():
            date = said.get(name)
            if not status and (date is True or (isinstance(date, str) and date[:10] <= self._today)):
                status = meant
        inactive = said.get("inactive")
        if not isinstance(inactive, bool):
            inactive = str(inactive).lower() == "true" if inactive is not None else status in INACTIVE_STATUS
        abstract = said.get("notSelectable", said.get("abstract"))
        return inactive, abstract is True or str(abstract).lower() == "true", status

    def concept(self, row: Json, ordinal: int, parents: tuple[int, ...]) -> Concept:
        """Return a concept of a resource."""
        inactive, abstract, status = self.state(row)
        return Concept(
            code=row["code"],
            display=text(row.get("display")),
            ordinal=ordinal,
            definition=text(row.get("definition")),
            designations=tuple(designations(row)),
            properties=tuple(
                Property(code, value, kind) for code, kind, value in stated(row) if code not in self._places
            ),
            parents=parents,
            inactive=inactive,
            abstract=abstract,
            status=status,
            extensions=tuple(objects(row.get("extension"))),
        )


def designations(row: Json, source: str = "") -> Iterator[Designation]:
    """Yield the designations of a concept; a source is the supplement that they are from."""
    for one in objects(row.get("designation")):
        if isinstance(one.get("value"), str):
            use = one.get("use")
            yield Designation(
                one["value"],
                text(one.get("language")),
                use if isinstance(use, dict) else None,
                tuple(objects(one.get("extension"))),
                source,
            )
