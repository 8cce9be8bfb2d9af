"""From two descriptions to a grade: evidence for and against one person, weighted as Fellegi and Sunter do.

A weight is the logarithm (base 2) of how much likelier an agreement, or its absence, is of one person than of two. The weights
are set by hand from what such fields are known to be like, not learnt from the record, so that the same two Patients are judged
alike everywhere. What is missing on either side says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from fhir_server.identity.likeness import Likeness, likeness, spelt
from fhir_server.identity.traits import Traits, exchanged

PRIOR = 9.0
"""Evidence that is needed to make one person as likely as two, of two Patients that a block holds."""

PROBABLE, POSSIBLE = 14.0, 5.0
"""Evidence from which on somebody is probably, or possibly, the same person."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "identifier": 20, "personal-differs": -14,
        "family-same": 6, "family-close": 4, "family-near": 1, "family-differs": -5,
        "given-same": 5, "given-close": 3, "given-near": 0.5, "given-among": 3.5, "given-initial": 0.5, "given-differs": -7,
        "names-exchanged": 8,
        "born-same": 10, "born-exchanged": 6, "born-digit": 4.5, "born-part": 4, "born-year": 1.5, "born-differs": -9,
        "gender-same": 1, "gender-differs": -5,
        "postal-same": 2.5, "postal-differs": -1, "line-same": 3, "line-differs": -0.5,
        "phone-same": 4, "phone-differs": -0.5, "email-same": 5, "email-differs": -0.5,
        "twins": -20, "died-differs": -8,
    }
)  # fmt: skip
"""Weight of each finding, by the code that the answer and the trail give it."""

CONTRADICTIONS = frozenset(
    {"given-differs", "born-differs", "gender-differs", "twins", "personal-differs", "died-differs"}
)
REASONS = frozenset(
    {
        "family-same",
        "family-close",
        "given-same",
        "given-close",
        "given-among",
        "names-exchanged",
        "phone-same",
        "email-same",
    }
)
"""Findings of which one is needed to think of somebody at all: many were born on one day, or live in one street."""

PLACES = Decimal("0.001")


class Grade(StrEnum):
    """How sure it is (value set match-grade of R4)."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CERTAINLY_NOT = "certainly-not"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparing two descriptions came to.

    Attributes:
        grade: How sure it is.
        score: The same from 0 to 1, three decimals; of a higher grade never below that of a lower one by evidence.
        findings: Codes of `WEIGHTS` that it rests on.
    """

    grade: Grade
    score: Decimal
    findings: tuple[str, ...]


def compare(one: Traits, other: Traits) -> Verdict:
    """Return whether two descriptions are of one person."""
    found = tuple(code for code in (*_identifiers(one, other), *_names(one, other), *_facts(one, other)) if code)
    weight = sum(WEIGHTS[code] for code in found)
    grade = _grade(frozenset(found), one, other, weight)
    likely = 1 / (1 + 2.0 ** min(PRIOR - weight, 60.0))
    least, most = _RANGES[grade]
    return Verdict(grade, min(max(Decimal(likely).quantize(PLACES), least), most), found)


_RANGES: Mapping[Grade, tuple[Decimal, Decimal]] = MappingProxyType(
    {
        Grade.CERTAIN: (Decimal("0.990"), Decimal("1.000")),
        Grade.PROBABLE: (Decimal("0.500"), Decimal("0.989")),
        Grade.POSSIBLE: (Decimal("0.010"), Decimal("0.899")),
        Grade.CERTAINLY_NOT: (Decimal("0.000"), Decimal("0.009")),
    }
)
"""Least and greatest score of each grade, so that who sorts by one gets the other's order."""


def _grade(found: frozenset[str], one: Traits, other: Traits, weight: float) -> Grade:
    against = found & CONTRADICTIONS
    if "identifier" in found:
        if not against and not ("family-differs" in found and "born-same" not in found):
            return Grade.CERTAIN
        alike = found & {"given-same", "given-close", "born-same", "born-exchanged", "born-digit"}
        return Grade.POSSIBLE if alike and "twins" not in found else Grade.CERTAINLY_NOT
    whole = {"family-same", "given-same", "born-same"} <= found and _is_day(one.born) and _is_day(other.born)
    reached = found & {"phone-same", "email-same"} or {"postal-same", "line-same"} <= found
    if whole and reached and not against:
        return Grade.CERTAIN
    if weight >= PROBABLE and not against & {"personal-differs", "twins", "given-differs"}:
        return Grade.PROBABLE
    return Grade.POSSIBLE if weight >= POSSIBLE and found & REASONS else Grade.CERTAINLY_NOT


def _identifiers(one: Traits, other: Traits) -> list[str]:
    if one.identifiers & other.identifiers:
        return ["identifier"]
    common = one.personal.keys() & other.personal.keys()
    return ["personal-differs"] if any(not one.personal[each] & other.personal[each] for each in common) else []


def _names(one: Traits, other: Traits) -> list[str]:
    """Return the findings of the two names that are most alike: of several that somebody has, or had before a marriage."""
    pairs = [_name(mine, theirs) for mine in one.names for theirs in other.names]
    return max(pairs, key=lambda codes: sum(WEIGHTS[code] for code in codes), default=[])


def _name(mine: tuple[str, tuple[str, ...]], theirs: tuple[str, tuple[str, ...]]) -> list[str]:
    straight = [code for code in (_family(mine[0], theirs[0]), _given(mine[1], theirs[1])) if code]
    is_exchanged = (
        mine[1] and theirs[1] and spelt(mine[0]) == spelt(theirs[1][0]) != spelt(mine[1][0]) == spelt(theirs[0])
    )
    return ["names-exchanged"] if is_exchanged and spelt(mine[0]) else straight


_FAMILY = {
    Likeness.SAME: "family-same",
    Likeness.CLOSE: "family-close",
    Likeness.NEAR: "family-near",
    Likeness.DIFFERENT: "family-differs",
}
_GIVEN = {
    Likeness.SAME: "given-same",
    Likeness.CLOSE: "given-close",
    Likeness.NEAR: "given-near",
    Likeness.DIFFERENT: "given-differs",
}


def _family(mine: str, theirs: str) -> str:
    if not spelt(mine) or not spelt(theirs):
        return ""
    # Of a double name each part is one: Núñez Ortega, Müller-Weiß.
    parts = {spelt(mine), *spelt(mine).split()}, {spelt(theirs), *spelt(theirs).split()}
    alike = likeness(mine, theirs)
    return "family-close" if alike < Likeness.CLOSE and _shared(*parts) else _FAMILY[alike]


def _given(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    if not mine or not theirs:
        return ""
    alike = max(likeness(" ".join(mine), " ".join(theirs)), min(likeness(mine[0], theirs[0]), Likeness.CLOSE))
    if spelt(mine[0]) == spelt(theirs[0]) and (len(mine) == 1 or len(theirs) == 1):
        alike = Likeness.SAME
    if alike >= Likeness.CLOSE:
        return _GIVEN[alike]
    words = (
        {word for one in mine for word in spelt(one).split()},
        {word for one in theirs for word in spelt(one).split()},
    )
    if _shared(*words):
        return "given-among"
    short, long = sorted((spelt(mine[0]), spelt(theirs[0])), key=len)
    return "given-initial" if len(short) == 1 and long.startswith(short) else _GIVEN[alike]


def _shared(mine: set[str], theirs: set[str]) -> set[str]:
    """Return the words that both have; one of two letters, such as `de`, is nobody's name."""
    return {word for word in mine & theirs if len(word) > 2}


def _facts(one: Traits, other: Traits) -> list[str]:
    found = [_born(one.born, other.born)]
    if one.gender and other.gender:
        found.append("gender-same" if one.gender == other.gender else "gender-differs")
    for name, mine, theirs in (
        ("postal", one.postal, other.postal),
        ("line", frozenset(one.lines), frozenset(other.lines)),
        ("phone", one.phones, other.phones),
        ("email", one.emails, other.emails),
    ):
        if mine and theirs:
            found.append(f"{name}-same" if mine & theirs else f"{name}-differs")
    if one.order and other.order and one.order != other.order:
        found.append("twins")
    if one.died and other.died and not one.died.startswith(other.died) and not other.died.startswith(one.died):
        found.append("died-differs")
    return found


def _born(mine: str, theirs: str) -> str:
    if not mine or not theirs:
        return ""
    if mine == theirs:
        return {10: "born-same", 7: "born-part"}.get(len(mine), "born-year")
    short, long = sorted((mine, theirs), key=len)
    if long.startswith(short):
        return "born-part" if len(short) > 4 else "born-year"
    if theirs in exchanged(mine):
        return "born-exchanged"
    return "born-digit" if _is_day(mine) and _is_day(theirs) and _one_slip(mine, theirs) else "born-differs"


def _one_slip(one: str, other: str) -> bool:
    """Return whether two dates differ by one digit, or by two neighbours that have changed places."""
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(places) == 2:
        first, second = places
        return second == first + 1 and one[first] == other[second] and one[second] == other[first]
    return len(places) == 1


def _is_day(born: str) -> bool:
    return len(born) == len("2000-01-01")
