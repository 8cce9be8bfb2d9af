"""Who the patients are: drawn by number, but for the first sixteen, each of whom shows a case that records must bear.

| number | case |
|---|---|
| 1, 2 | twin girls of three, and their mother 3 who signs for them (RelatedPerson, joined by a Person) |
| 4, 5 | two men with one name, born in different years |
| 6 | a boy whose guardian is his grandmother 7 |
| 8, 9 | one woman registered twice, merged: 9 was replaced by 8 |
| 10 | died in hospital |
| 11 | brought in unknown: no name, no birth date |
| 12, 13, 14 | names in Arabic, Hebrew and Devanagari letters |
| 15, 16 | day of birth unknown, month of birth unknown |
| 18 | the same woman as 3, registered at a second facility; nobody has linked the two |
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from fhir_server.demo.chance import Chance
from fhir_server.demo.geography import FACILITIES, Facility
from fhir_server.demo.names import POOLS, Pool

TODAY = date(2026, 10, 31)
HOUSEHOLDS = ((1, 2, 3), (6, 7), (8, 9))
MOTHER, GRANDMOTHER = ("MTH", "mother"), ("GRMTH", "grandmother")


@dataclass(frozen=True, slots=True)
class Person:
    """A patient before it becomes a resource.

    Attributes:
        number: From 1.
        facility: Who keeps the record.
        pool: The community of the name.
        female: Whether the administrative gender is female.
        given, family: The name as written.
        born: Birth date; for the unknown patient an estimate that is not written.
        born_text: Birth date as written, possibly without day or month, or empty.
        died: Date of death, `None` for the living.
        guardian: (number of the patient who is guardian or 0, given name, relation code and display), `None` for adults.
        twin: Order of birth in a multiple birth, 0 for none.
        replaced_by, replaces: Patient numbers of a merge, 0 for none.
        unknown: Whether nobody knows who it is.
        same: Number of the patient of another facility who is the same person, 0 for none.
    """

    number: int
    facility: Facility
    pool: Pool
    female: bool
    given: str
    family: str
    born: date
    born_text: str
    died: date | None = None
    guardian: tuple[int, str, tuple[str, str]] | None = None
    twin: int = 0
    replaced_by: int = 0
    replaces: int = 0
    unknown: bool = False
    same: int = 0

    @property
    def id(self) -> str:
        """Logical id of the Patient."""
        return patient_id(self.number)

    def age(self, when: date) -> int:
        """Return the age in completed years."""
        return when.year - self.born.year - ((when.month, when.day) < (self.born.month, self.born.day))


def patient_id(number: int) -> str:
    """Return the logical id of the patient with this number."""
    return f"p{number:04d}"


def person(number: int) -> Person:
    """Return the patient with this number; the same in every scale."""
    return replace(_drawn(number), **_CASES.get(number, {}))


def _drawn(number: int) -> Person:
    chance = Chance(f"patient/{number}")
    facility = chance.weighted(FACILITIES, [facility.weight for facility in FACILITIES])
    pool = chance.weighted(POOLS, [pool.weight for pool in POOLS])
    female = chance.happens(0.52)
    given, family = chance.one(pool.female if female else pool.male), chance.one(pool.family)
    age = chance.weighted((6, 16, 30, 50, 70, 88), (14, 12, 22, 24, 20, 8)) + chance.whole(-6, 7)
    born = TODAY - timedelta(days=max(age, 0) * 365 + chance.whole(30, 364))
    gone = TODAY - timedelta(days=chance.whole(20, 500))
    died = gone if age > 60 and chance.happens(0.08) else None
    guardian = (0, chance.one(pool.female), MOTHER) if age < 17 else None
    return Person(number, facility, pool, female, given, family, born, born.isoformat(), died, guardian)


def _named(language: str, given: str, family: str, *, female: bool) -> dict[str, Any]:
    pool = next(pool for pool in POOLS if pool.language == language)
    return {"pool": pool, "given": given, "family": family, "female": female}


def _born(text: str) -> dict[str, Any]:
    """Return the changes for a birth date as written; a part that is not known is reckoned as the first."""
    year, month, day = [*map(int, text.split("-")), 1, 1][:3]
    return {"born": date(year, month, day), "born_text": text, "died": None, "guardian": None}


_HOSPITAL, _PRACTICE, _HIGHLAND = FACILITIES[0], FACILITIES[1], FACILITIES[3]
_GUARDED_BY_3 = {"facility": _PRACTICE, "guardian": (3, "Clara", MOTHER)}

_CASES: dict[int, dict[str, Any]] = {
    1: {**_named("en", "Ivy", "Ashby", female=True), **_born("2023-04-12"), **_GUARDED_BY_3, "twin": 1},
    2: {**_named("en", "Olive", "Ashby", female=True), **_born("2023-04-12"), **_GUARDED_BY_3, "twin": 2},
    3: {**_named("en", "Clara", "Ashby", female=True), **_born("1992-09-03"), "facility": _PRACTICE},
    4: {**_named("en", "James", "Smith", female=False), **_born("1957-02-20"), "facility": _HOSPITAL},
    5: {**_named("en", "James", "Smith", female=False), **_born("1988-11-05"), "facility": _HOSPITAL},
    6: {
        **_named("es", "Tomás", "Muñoz", female=False),
        **_born("2016-06-30"),
        "facility": _HIGHLAND,
        "guardian": (7, "Lucía", GRANDMOTHER),
    },
    7: {**_named("es", "Lucía", "Muñoz", female=True), **_born("1955-01-17"), "facility": _HIGHLAND},
    8: {**_named("de", "Käthe", "Groß", female=True), **_born("1969-08-08"), "facility": _HOSPITAL, "replaces": 9},
    9: {**_named("de", "Kaethe", "Gross", female=True), **_born("1969-08-08"), "facility": _HOSPITAL, "replaced_by": 8},
    10: {
        **_named("en", "Arthur", "Penrose", female=False),
        **_born("1938-03-29"),
        "facility": _HOSPITAL,
        "died": date(2026, 2, 11),
    },
    11: {
        **_named("en", "", "", female=False),
        **_born("1980"),
        "born_text": "",
        "facility": _HOSPITAL,
        "unknown": True,
    },
    12: {**_named("ar", "ليلى", "حسن", female=True), **_born("1979-12-01"), "facility": _HOSPITAL},
    13: {**_named("he", "דוד", "כהן", female=False), **_born("1964-05-22")},
    14: {**_named("hi", "राम", "कुमार", female=False), **_born("1971-10-10"), "facility": _HIGHLAND},
    15: {**_named("pl", "Halina", "Wójcik", female=True), **_born("1958-07")},
    16: {**_named("en", "Martha", "Kerr", female=True), **_born("1949")},
    18: {**_named("en", "Clara", "Ashby", female=True), **_born("1992-09-03"), "facility": _HOSPITAL, "same": 3},
}
