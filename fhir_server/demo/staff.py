"""Sixty practitioners and their eighty-five roles: some work at several facilities, some roles have ended."""

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.demo.chance import Chance
from fhir_server.demo.datatypes import HL7, OWN, SNOMED, Resource, claim, compact, concept, identifier, reference
from fhir_server.demo.geography import FACILITIES, Facility
from fhir_server.demo.names import POOLS

COUNT = 60
SECOND_ROLES = 25
ENDED_ROLES = 9

DOCTOR = ("doctor", "Doctor")
NURSE = ("nurse", "Nurse")
PHARMACIST = ("pharmacist", "Pharmacist")

_HOSPITAL_POSTS = (
    (DOCTOR, "419192003", "Internal medicine"),
    (NURSE, "394802001", "General medicine"),
    (DOCTOR, "394609007", "General surgery"),
    (DOCTOR, "773568002", "Emergency medicine"),
    (NURSE, "773568002", "Emergency medicine"),
    (DOCTOR, "394579002", "Cardiology"),
    (DOCTOR, "394585009", "Obstetrics and gynecology"),
    (PHARMACIST, "394802001", "General medicine"),
    (DOCTOR, "394537008", "Pediatric specialty"),
    (DOCTOR, "394583002", "Endocrinology"),
)
_PRACTICE_POSTS = (
    (DOCTOR, "394814009", "General practice"),
    (NURSE, "394814009", "General practice"),
    (DOCTOR, "419772000", "Family practice"),
    (DOCTOR, "394587001", "Psychiatry"),
)


@dataclass(frozen=True, slots=True)
class Role:
    """One PractitionerRole.

    Attributes:
        id: Its id.
        practitioner: Id of the Practitioner.
        facility: Where it is held.
        post: (role code and display, specialty code, specialty display).
        start: First day.
        end: Last day, empty while it lasts.
    """

    id: str
    practitioner: str
    facility: Facility
    post: tuple[tuple[str, str], str, str]
    start: str
    end: str


def practitioners() -> Iterator[Resource]:
    """Yield the Practitioners."""
    for number in range(1, COUNT + 1):
        yield _practitioner(number)


def roles() -> tuple[Role, ...]:
    """Return all roles: one for everybody, and a second one for some, at another facility."""
    homes = _homes()
    first = [_role(number, homes[number - 1], 1) for number in range(1, COUNT + 1)]
    second = []
    for number in range(1, SECOND_ROLES + 1):
        practitioner = 2 * number
        others = [facility for facility in FACILITIES if facility is not homes[practitioner - 1]]
        where = others[number % len(others)]
        second.append(_role(practitioner, where, 2, ended=number <= ENDED_ROLES))
    return (*first, *second)


def role_resource(role: Role) -> Resource:
    """Return the PractitionerRole resource."""
    code, specialty, display = role.post
    return {
        "resourceType": "PractitionerRole",
        "id": role.id,
        "meta": claim("staff-role"),
        "active": not role.end,
        "period": compact({"start": role.start, "end": role.end}),
        "practitioner": reference(f"Practitioner/{role.practitioner}"),
        "organization": reference(f"Organization/{role.facility.id}"),
        "code": [concept(f"{HL7}/practitioner-role", *code)],
        "specialty": [concept(SNOMED, specialty, display)],
        "location": [reference(f"Location/{role.facility.id}-site")],
    }


def doctors() -> dict[str, tuple[str, ...]]:
    """Return the ids of the Practitioners who are doctors at each facility now, by facility id."""
    present: dict[str, tuple[str, ...]] = {facility.id: () for facility in FACILITIES}
    for role in roles():
        if role.post[0] is DOCTOR and not role.end:
            present[role.facility.id] += (role.practitioner,)
    return present


def _homes() -> list[Facility]:
    """Return the facility of everybody's first role: each has at least a doctor, larger ones have more staff."""
    homes = list(FACILITIES)
    total = sum(facility.weight for facility in FACILITIES)
    for facility in FACILITIES:
        homes += [facility] * round((COUNT - len(FACILITIES)) * facility.weight / total)
    return (homes + [FACILITIES[0]] * COUNT)[:COUNT]


def _role(number: int, facility: Facility, ordinal: int, *, ended: bool = False) -> Role:
    chance = Chance(f"role/{number}/{ordinal}")
    posts = _HOSPITAL_POSTS if facility.wards else _PRACTICE_POSTS
    post = posts[0] if number <= len(FACILITIES) else posts[number % len(posts)]
    start = f"{chance.whole(2012, 2023)}-{chance.whole(1, 12):02d}-01"
    end = f"{chance.whole(2024, 2025)}-{chance.whole(1, 12):02d}-28" if ended else ""
    return Role(f"role{number:02d}-{ordinal}", f"dr{number:02d}", facility, post, start, end)


def _practitioner(number: int) -> Resource:
    chance = Chance(f"practitioner/{number}")
    pool = chance.weighted(POOLS, [pool.weight for pool in POOLS])
    female = chance.happens(0.55)
    given, family = chance.one(pool.female if female else pool.male), chance.one(pool.family)
    name = {"use": "official", "family": family, "given": [given], "prefix": ["Dr"]}
    if pool.latin:
        latin = {"use": "usual", "family": pool.latin[family], "given": [pool.latin[given]]}
        names = [{"text": f"{given} {family}", **name}, latin]
    else:
        names = [name]
    return {
        "resourceType": "Practitioner",
        "id": f"dr{number:02d}",
        "identifier": [identifier(f"{OWN}/sid/licence", f"M{100000 + number * 37}", "MD")],
        "active": True,
        "name": names,
        "telecom": [{"system": "email", "value": f"dr{number:02d}@meridia.example", "use": "work"}],
        "gender": "female" if female else "male",
        "qualification": [{"code": concept(f"{HL7}/v2-0360", "MD", "Doctor of Medicine"), "period": {"start": "2008"}}],
        "communication": [concept("urn:ietf:bcp:47", pool.language, pool.label)],
    }
