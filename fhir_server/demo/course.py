"""The clinical course of one patient over two years: encounters with what was found, measured and prescribed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from fhir_server.demo import measuring, prescribing, prevention
from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import HL7, SNOMED, Resource, compact, concept, moment, reference
from fhir_server.demo.geography import ZONES
from fhir_server.demo.illnesses import ACUTE, LASTING, Illness
from fhir_server.demo.measuring import Visit
from fhir_server.demo.people import TODAY, Person

MONTHS = 24
INPATIENTS = 500
"""Only among these numbers somebody lies in hospital today, so that no bed is given twice in a larger country."""

_CHECKUP = ("185349003", "Encounter for check up")
_FOLLOW_UP = ("390906007", "Follow-up encounter")
_SYMPTOM = ("185345009", "Encounter for symptom")
_EMERGENCY = ("4525004", "Emergency department patient visit")
_ADMISSION = ("32485007", "Hospital admission")

_ROUTINE = ("weight", "bmi", "pulse")
_UNWELL = ("temperature", "pulse", "breathing", "oxygen")


@dataclass(frozen=True, slots=True)
class Stay:
    """One encounter before it becomes resources.

    Attributes:
        kind: AMB, EMER or IMP (v3 ActCode).
        reason: Type of the encounter.
        illness: What it is about, `None` for a check-up.
        start: Its beginning.
        hours: How long it takes; 0 while it lasts.
    """

    kind: str
    reason: tuple[str, str]
    illness: Illness | None
    start: datetime
    hours: float


def resources(person: Person, doctors: tuple[str, ...]) -> Iterator[Resource]:
    """Yield everything clinical about a patient, each resource after those that it refers to.

    Args:
        person: Who.
        doctors: Ids of the Practitioners at the facility; the first one of the patient's own draw treats mostly.
    """
    chance = Chance(f"course/{person.number}")
    if person.replaced_by:
        return
    lasting = [] if person.unknown else _lasting(person, chance)
    yield from prevention.allergies(person, chance)
    yield from prevention.immunizations(person, chance)
    for illness in lasting:
        yield _condition(person, illness, _onset(person, chance), "", lasting=True)
    known = {illness.code for illness in lasting}
    for ordinal, stay in enumerate(sorted(_stays(person, lasting, chance), key=lambda stay: stay.start), 1):
        yield from _encounter(person, ordinal, stay, known, chance.one(doctors))


def _lasting(person: Person, chance: Chance) -> list[Illness]:
    age = person.age(TODAY)
    return [row for row in LASTING if row.low <= age <= row.high and chance.happens(row.often / 100)]


def _onset(person: Person, chance: Chance) -> datetime:
    """Return when a lasting condition was first noted: between two and nine years ago, after birth."""
    day = TODAY - timedelta(days=chance.whole(760, 3200))
    return _at(person, max(day, person.born + timedelta(days=200)), 9)


def _stays(person: Person, lasting: list[Illness], chance: Chance) -> Iterator[Stay]:
    if person.unknown:
        yield Stay("EMER", _EMERGENCY, ACUTE[-1], _at(person, TODAY, 2), 0)
        return
    last = person.died or TODAY
    first = max(TODAY - timedelta(days=MONTHS * 30), person.born + timedelta(days=21))
    span = max((last - first).days - 8, 1)

    def day() -> datetime:
        return _at(person, first + timedelta(days=chance.whole(0, span)), chance.whole(8, 16))

    yield Stay("AMB", _CHECKUP, None, day(), 0.5)
    for illness in lasting[:3]:
        yield Stay("AMB", _FOLLOW_UP, illness, day(), 0.4)
    acute = [row for row in ACUTE if row.low <= person.age(last) <= row.high and _fits(row, person)]
    for _ in range(chance.weighted((0, 1, 2, 3), (35, 35, 20, 10))):
        illness = chance.weighted(acute, [row.often for row in acute])
        if illness.severe:
            yield Stay("EMER", _EMERGENCY, illness, day(), 3)
            if person.facility.beds and chance.happens(0.6):
                yield Stay("IMP", _ADMISSION, illness, day(), 24 * chance.whole(2, 6))
        else:
            yield Stay("AMB", _SYMPTOM, illness, day(), 0.3)
    if person.died:
        if person.facility.beds:
            yield Stay("IMP", _ADMISSION, ACUTE[7], _at(person, person.died - timedelta(days=4), 20), 80)
    elif person.facility.beds and _bed_today(person):
        yield Stay("IMP", _ADMISSION, ACUTE[7], _at(person, TODAY - timedelta(days=chance.whole(1, 4)), 14), 0)


def _fits(illness: Illness, person: Person) -> bool:
    return not illness.sex or (illness.sex == "female") == person.female


def _bed_today(person: Person) -> str:
    """Return the bed in which the patient lies today: every 17th patient of a hospital, as long as there are beds."""
    beds = person.facility.beds
    place, rest = divmod(person.number, 17)
    return beds[place] if rest == 0 and person.number <= INPATIENTS and place < len(beds) else ""


def _at(person: Person, day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour, person.number % 4 * 15), ZONES[person.facility.region])


def _encounter(person: Person, ordinal: int, stay: Stay, known: set[str], doctor: str) -> Iterator[Resource]:
    name = f"{person.id}-e{ordinal:02d}"
    illness = stay.illness
    conditions = []
    if illness and illness.code not in known:
        conditions.append(_condition(person, illness, stay.start, name, lasting=False, over=bool(stay.hours)))
    about = f"Condition/{person.id}-{illness.code}" if illness and illness.code in known else ""
    about = f"Condition/{conditions[0]['id']}" if conditions else about
    yield _encounter_resource(person, name, stay, about, doctor)
    yield from conditions
    visit = Visit(name, person, stay.start, doctor, 1 if stay.kind != "AMB" else 0)
    signs = _UNWELL if stay.kind != "AMB" or stay.reason is _SYMPTOM else _ROUTINE
    rounds = 1 if stay.kind != "IMP" else max(2, min(int(stay.hours) // 24, 4))
    for turn in range(1, rounds + 1):
        later = Visit(name, person, stay.start + timedelta(hours=24 * (turn - 1)), doctor, visit.ill)
        yield from measuring.vital_signs(later, signs, turn)
    if illness:
        for panel in illness.panels:
            yield from measuring.laboratory(visit, panel)
        for drug in illness.drugs:
            yield prescribing.prescription(visit, drug, about, lasting=illness.code in known)


def _encounter_resource(person: Person, name: str, stay: Stay, about: str, doctor: str) -> Resource:
    displays = {"AMB": "ambulatory", "EMER": "emergency", "IMP": "inpatient encounter"}
    end = moment(stay.start + timedelta(hours=stay.hours)) if stay.hours else ""
    place = f"{person.facility.id}-site"
    if stay.kind == "IMP":
        beds = person.facility.beds
        place = _bed_today(person) if not end else beds[person.number % len(beds)]
    period = compact({"start": moment(stay.start), "end": end})
    return compact(
        {
            "resourceType": "Encounter",
            "id": name,
            "status": "finished" if end else "in-progress",
            "class": {"system": f"{HL7}/v3-ActCode", "code": stay.kind, "display": displays[stay.kind]},
            "type": [concept(SNOMED, *stay.reason)],
            "subject": reference(f"Patient/{person.id}"),
            "participant": [{"individual": reference(f"Practitioner/{doctor}")}],
            "period": period,
            "reasonCode": [concept(SNOMED, stay.illness.code, stay.illness.display)] if stay.illness else [],
            "diagnosis": [{"condition": reference(about)}] if about else [],
            "location": [{"location": reference(f"Location/{place}"), "status": "completed" if end else "active"}],
            "serviceProvider": reference(f"Organization/{person.facility.id}"),
        }
    )


def _condition(
    person: Person, illness: Illness, onset: datetime, encounter: str, *, lasting: bool, over: bool = True
) -> Resource:
    name = f"{person.id}-{illness.code}" if lasting else f"{encounter}-{illness.code}"
    ended = over and not lasting
    category = ("problem-list-item", "Problem List Item") if lasting else ("encounter-diagnosis", "Encounter Diagnosis")
    status = ("resolved", "Resolved") if ended else ("active", "Active")
    return compact(
        {
            "resourceType": "Condition",
            "id": name,
            "clinicalStatus": concept(f"{HL7}/condition-clinical", *status),
            "verificationStatus": concept(f"{HL7}/condition-ver-status", "confirmed", "Confirmed"),
            "category": [concept(f"{HL7}/condition-category", *category)],
            "code": concept(SNOMED, illness.code, illness.display, illness.display),
            "subject": reference(f"Patient/{person.id}"),
            "encounter": reference(f"Encounter/{encounter}") if encounter else None,
            "onsetDateTime": moment(onset),
            "abatementDateTime": moment(onset + timedelta(days=14)) if ended else "",
            "recordedDate": moment(onset),
        }
    )
