"""SNOMED CT in Release Format 2: snapshots, full releases as of a date, deltas laid over the release they change, editions.

The rows of all tables are brought together by concept through files (partition.py), because a release comes to several gigabytes.
What is in memory all the time is what language reference sets say of each description.

Of the concept are told: `memberOf` (reference sets), `moduleId`, `effectiveTime`, `sufficientlyDefined`, `normalFormTerse`, its attributes under the
codes of their types, and historical associations and reasons of inactivation under the codes of their reference sets.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter
from typing import Any

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.ecl.expression import NORMAL_FORM, Expression, Pair
from terminology.load.dialects import tags
from terminology.load.files import File, Files
from terminology.load.partition import Partition, Record
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.rf2_package import SYSTEM, Package, package

IS_A = "116680003"
INFERRED = "900000000000011006"
DEFINED = "900000000000073002"
PREFERRED = "900000000000548007"
NAME, SYNONYM, DEFINITION = "900000000000003001", "900000000000013009", "900000000000550004"
AMERICAN = "900000000000509007"
USES = {
    NAME: {"system": SYSTEM, "code": NAME, "display": "Fully specified name"},
    SYNONYM: {"system": SYSTEM, "code": SYNONYM, "display": "Synonym"},
    DEFINITION: {"system": SYSTEM, "code": DEFINITION, "display": "Definition"},
}
STATE = ("id", "effectiveTime", "active", "moduleId")
MEMBER = (*STATE[:3], "refsetId", "referencedComponentId")
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition("memberOf", "code", description="Reference sets that the concept is a member of"),
        PropertyDefinition(
            "moduleId", "code", "http://snomed.info/id/900000000000443000", "Module of its newest state"
        ),
        PropertyDefinition("effectiveTime", "dateTime", description="When its newest state came into effect"),
        PropertyDefinition("sufficientlyDefined", "boolean", description="Whether its definition is sufficient"),
        PropertyDefinition(NORMAL_FORM, "string", description="What it is below and its attributes, as an expression"),
    )
}
Tell = Callable[[str], None]
Spoken = tuple[tuple[str, bool], ...]
"""Language reference sets with a description, each with whether it prefers it."""
_CONCEPT, _WORDS, _EDGE, _NUMBER, _MEMBER = range(5)


@dataclass(slots=True)
class _Gathered:
    """What is known when all files are read."""

    concepts: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    languages: dict[str, set[str]] = field(default_factory=dict)


def read(files: Files, language: str = "en", date: str = "", module: str = "", tell: Tell = lambda _: None) -> Release:
    """Return a release of SNOMED CT; its files are read at once, and its concepts put together as they are asked for.

    Args:
        files: One package or several that make up an edition; a delta with what it is based on.
        language: Of the displays.
        date: Takes the state at that day, as YYYYMMDD, from full releases; empty for the newest.
        module: SCTID of the edition's module, empty to find it.
        tell: Is told the name of each file before it is read.

    Raises:
        BrokenRelease: Something is missing, or not as RF2 has it.
    """
    chosen = package(files, date, module)
    digest = files.digest(chosen.files)
    joined = files.partition()
    gathered = _Gathered()
    spoken = _languages(chosen, files, tell)
    for file in chosen.of("Concept"):
        tell(file.base)
        _concepts(file, chosen, joined, gathered)
    for file in (*chosen.of("Description"), *chosen.of("TextDefinition")):
        tell(file.base)
        _descriptions(file, chosen, joined, spoken, gathered)
    del spoken
    for file in chosen.of("Relationship"):
        tell(file.base)
        _relationships(file, chosen, joined, gathered)
    for file in chosen.of("RelationshipConcreteValues"):
        tell(file.base)
        _values(file, chosen, joined, gathered)
    for file in chosen.of("Refset"):
        tell(file.base)
        _members(file, chosen, joined, gathered)
    head = Head(
        url=SYSTEM,
        version=chosen.version,
        name="SNOMED_CT",
        title="SNOMED CT",
        language=language,
        case_sensitive=False,
        hierarchy="is-a",
        value_set=f"{SYSTEM}?fhir_vs",
        compositional=True,
        properties={**PROPERTIES, **_defined(gathered.attributes)},
        count=gathered.concepts,
        resource={
            "copyright": "SNOMED CT is licensed by SNOMED International (SNOMED International Affiliate License)."
        },
    )
    return Release(head, digest, lambda: _rows(joined, chosen, gathered, language))


def _concepts(file: File, chosen: Package, joined: Partition, gathered: _Gathered) -> None:
    for number, active, (code, time, _, module, status) in chosen.states(file, (*STATE, "definitionStatusId")):
        if not code.isdigit():
            raise BrokenRelease(f"'{code}' is no SNOMED CT identifier.", file.name, number)
        joined.add(code, (_CONCEPT, code, code, time, active, module, status))
        gathered.concepts += not chosen.dated


def _descriptions(
    file: File, chosen: Package, joined: Partition, spoken: Mapping[int, Spoken], gathered: _Gathered
) -> None:
    columns = (*STATE[:3], "conceptId", "languageCode", "typeId", "term")
    said: dict[str, set[Spoken]] = {}
    for number, active, (code, time, _, concept, language, kind, term) in chosen.states(file, columns):
        if not code.isdigit():
            raise BrokenRelease(f"'{code}' is no SNOMED CT identifier.", file.name, number)
        if active or chosen.dated:
            accepted = spoken.get(int(code), ())
            said.setdefault(language, set()).add(accepted)
            joined.add(concept, (_WORDS, concept, code, time, active, language, kind, term, accepted))
    for language, combinations in said.items():
        gathered.languages.setdefault(language, set()).update(one for each in combinations for one, _ in each)


def _relationships(file: File, chosen: Package, joined: Partition, gathered: _Gathered) -> None:
    columns = (*STATE[:3], "sourceId", "destinationId", "relationshipGroup", "typeId", "characteristicTypeId")
    kinds: set[str] = set()
    for _, active, (code, time, _, source, target, together, kind, nature) in chosen.states(file, columns):
        counts = active and nature == INFERRED
        if counts or chosen.dated:
            kinds.add(kind)
            joined.add(source, (_EDGE, source, code, time, counts, kind, target, together))
    gathered.attributes |= dict.fromkeys(kinds - {IS_A}, "code")


def _values(file: File, chosen: Package, joined: Partition, gathered: _Gathered) -> None:
    columns = (*STATE[:3], "sourceId", "value", "relationshipGroup", "typeId", "characteristicTypeId")
    for number, active, (code, time, _, source, value, together, kind, nature) in chosen.states(file, columns):
        counts = active and nature == INFERRED
        if counts or chosen.dated:
            if value.startswith("#"):
                if not re.fullmatch(r"#[+-]?\d+(\.\d+)?", value, re.ASCII):
                    raise BrokenRelease(f"'{value}' is no number.", file.name, number)
                gathered.attributes[kind] = "decimal"
            else:
                gathered.attributes.setdefault(kind, "string")
            joined.add(source, (_NUMBER, source, code, time, counts, kind, value, together))


def _members(file: File, chosen: Package, joined: Partition, gathered: _Gathered) -> None:
    target = chosen.target(file)
    columns = (*MEMBER, target) if target else MEMBER
    for _, active, (code, time, _, refset, component, *rest) in chosen.states(file, columns):
        if component[-3:-1] in {"00", "10"} and (active or chosen.dated):
            if target:
                gathered.attributes[refset] = "code"
            joined.add(component, (_MEMBER, component, code, time, active, refset, *rest))


def _languages(chosen: Package, files: Files, tell: Tell) -> dict[int, Spoken]:
    """Return the language reference sets of each description, by its id."""
    found: dict[int, Spoken] = {}
    same: dict[Spoken, Spoken] = {}
    states = _acceptabilities(chosen, tell)
    for _, description, _, _, active, refset, acceptability in (
        _dated(states, files.partition()) if chosen.dated else states
    ):
        if active:
            key = int(description)
            made = (*found.get(key, ()), (refset, acceptability == PREFERRED))
            found[key] = same.setdefault(made, made)
    return found


def _acceptabilities(chosen: Package, tell: Tell) -> Iterator[Record]:
    for file in chosen.of("Language"):
        tell(file.base)
        for number, active, row in chosen.states(file, (*MEMBER, "acceptabilityId")):
            code, time, _, refset, description, acceptability = row
            if not description.isdigit():
                raise BrokenRelease(f"'{description}' is no SNOMED CT identifier.", file.name, number)
            yield 0, description, code, time, active, refset, acceptability


def _dated(states: Iterable[Record], parted: Partition) -> Iterator[Record]:
    """Yield the newest of several states of each component."""
    for state in states:
        parted.add(state[1], state)
    for records in parted.parts():
        yield from _newest(records)


def _newest(records: Iterable[Record]) -> list[Record]:
    """Return the newest state of each component: of records (kind, concept, component, time, active, ...)."""
    found: dict[tuple[int, str], Record] = {}
    for record in records:
        key = (record[0], record[2])
        other = found.get(key)
        if other is None or record[3:5] >= other[3:5]:
            found[key] = record
    return list(found.values())


def _rows(joined: Partition, chosen: Package, gathered: _Gathered, language: str) -> Iterator[Row]:
    dialects = _Dialects(gathered.languages, language)
    for part in joined.parts():
        records = _newest(part) if chosen.dated else part
        stated = [one for one in records if one[0] == _CONCEPT]
        grouped: dict[str, list[list[Record]]] = {one[1]: [[one], [], [], [], []] for one in stated}
        if len(grouped) != len(stated):
            twice = Counter(one[1] for one in stated).most_common(1)[0][0]
            raise BrokenRelease(
                f"The concept {twice} is there twice, which a snapshot cannot be.", chosen.of("Concept")[0].name
            )
        for record in records:
            # A row of a concept that is not part of the release is left out: extensions bring such for other editions.
            if record[0] != _CONCEPT and record[4] and (group := grouped.get(record[1])):
                group[record[0]].append(record)
        for code in sorted(grouped, key=int):
            yield _row(code, grouped[code], dialects)


def _row(code: str, group: list[list[Record]], dialects: "_Dialects") -> Row:
    [concept], words, edges, numbers, members = group
    _, _, _, time, active, module, status = concept
    properties = [
        Property("moduleId", module, "code"),
        Property("effectiveTime", f"{time[:4]}-{time[4:6]}-{time[6:8]}", "dateTime"),
        Property("sufficientlyDefined", status == DEFINED, "boolean"),
    ]
    # The same attribute with the same value counts once; the normal form tells which are together in groups.
    stated = sorted({(one[5], one[6]) for one in edges if one[5] != IS_A}, key=itemgetter(0, 1))
    properties += [Property(kind, target, "code") for kind, target in stated]
    properties += [_number(kind, value) for kind, value in sorted({(one[5], one[6]) for one in numbers})]
    parents = tuple(sorted({one[6] for one in edges if one[5] == IS_A}, key=int))
    if form := _normal_form(parents or (code,), [one for one in (*edges, *numbers) if one[5] != IS_A]):
        properties.append(Property(NORMAL_FORM, form))
    properties += [Property("memberOf", refset, "code") for refset in sorted({one[5] for one in members})]
    associated = sorted({(one[5], one[6]) for one in members if len(one) > len(STATE) + 2})
    properties += [Property(refset, target, "code") for refset, target in associated]
    words.sort(key=dialects.rank)
    texts = [one for one in words if one[6] == DEFINITION]
    terms = [one for one in words if one[6] != DEFINITION]
    return Row(
        code=code,
        display=terms[0][7] if terms else code,
        definition=texts[0][7] if texts else "",
        designations=tuple(dialects.designations((*terms, *texts[1:]))),
        properties=tuple(properties),
        parents=parents,
        inactive=not active,
        status="" if active else "inactive",
    )


def _normal_form(parents: tuple[str, ...], stated: Sequence[Record]) -> str:
    """Return a concept as an expression: what it is below, and its attributes in their groups; empty without attributes."""
    groups: dict[str, list[Pair]] = {}
    for one in stated:
        value = Expression((one[6],)) if one[0] == _EDGE else str(one[6])
        groups.setdefault(one[7], []).append((one[5], value))
    loose = tuple(groups.pop("0", ()))
    return Expression(parents, loose, tuple(tuple(one) for one in groups.values())).normal if loose or groups else ""


class _Dialects:
    """What language reference sets mean for descriptions: few combinations of them occur, so each is thought about once.

    Args:
        languages: Reference sets of the release by language.
        language: Of the displays.
    """

    def __init__(self, languages: Mapping[str, set[str]], language: str) -> None:
        self._languages, self._language = languages, language
        self._ranks: dict[tuple[str, str, Spoken], tuple[bool, ...]] = {}
        self._tags: dict[tuple[str, Spoken], Sequence[str]] = {}

    def rank(self, words: Record) -> tuple[Any, ...]:
        """Return how far down a term stands: the display is the first."""
        key = words[5], words[6], words[8]
        found = self._ranks.get(key)
        if found is None:
            language, kind, accepted = key
            prefers = {refset for refset, preferred in accepted if preferred}
            found = language != self._language, kind != SYNONYM, AMERICAN not in prefers, not prefers, not accepted
            self._ranks[key] = found
        return found, int(words[2])

    def designations(self, words: Iterable[Record]) -> Iterator[Designation]:
        """Yield the designations that descriptions are: one for each dialect, where not all agree."""
        for _, _, _, _, _, language, kind, term, accepted in words:
            found = self._tags.get((language, accepted))
            if found is None:
                prefers = {refset for refset, preferred in accepted if preferred} or {refset for refset, _ in accepted}
                everywhere = not prefers or prefers >= self._languages.get(language, set())
                found = self._tags[language, accepted] = (language,) if everywhere else tags(language, prefers)
            for tag in found:
                yield Designation(term, tag, USES.get(kind))


def _number(kind: str, value: str) -> Property:
    if value.startswith("#"):
        return Property(kind, Decimal(value[1:]), "decimal")
    return Property(kind, value.removeprefix('"').removesuffix('"'), "string")


def _defined(attributes: Mapping[str, str]) -> dict[str, PropertyDefinition]:
    return {
        code: PropertyDefinition(code, kind, f"http://snomed.info/id/{code}")
        for code, kind in sorted(attributes.items())
    }
