"""Filters and plans: what is asked of MongoDB, that it uses the index it is told, and agrees with the evaluation in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.model.errors import InvalidParameter
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.search.compartment import compartment
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import (
    And,
    Anything,
    Criterion,
    Expression,
    InCompartment,
    Missing,
    Not,
    Nothing,
    Or,
    OwnedBy,
    all_of,
    any_of,
)
from fhir_server.search.match import matches
from fhir_server.search.params import params
from fhir_server.search.types.conditions import Is
from fhir_server.search.types.date import Interval, interval
from profiles.definitions.registry import Definitions, load
from tests.search.shelf import Shelf

DEFINITIONS = load()
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def filter_of(shelf: Shelf, resource_type: str, query: str) -> dict[str, Any]:
    return dict(compiled(shelf.request(resource_type, query).expression, resource_type, shelf.definitions).clause)


async def test_filters(shelf: Shelf) -> None:
    assert filter_of(shelf, "Observation", "patient=5") == {"p": "5", "s.patient": {"$in": [None, "Patient/5"]}}
    assert filter_of(shelf, "Observation", "performer=Practitioner/5") == {
        "rf": "Practitioner/5",
        "s.performer": "Practitioner/5",
    }
    assert filter_of(shelf, "Observation", f"code={LOINC}|1,{LOINC}|2") == {
        "s.code": {"$in": [f"1|{LOINC}", f"2|{LOINC}"]}
    }
    assert filter_of(shelf, "Observation", "code=1") == {"s.code": {"$elemMatch": {"$gte": "1|", "$lt": "1}"}}}
    assert filter_of(shelf, "Patient", "gender:not=male") == {"$nor": [{"s.gender": "male"}]}
    assert filter_of(shelf, "Patient", "_id=a,b") == {"_id": {"$in": ["a", "b"]}}
    assert filter_of(shelf, "Patient", "family=Mül") == {"s.family": {"$elemMatch": {"$gte": "mul", "$lt": "mum"}}}
    assert filter_of(shelf, "Patient", "family:missing=true") == {"s.family": None}
    assert filter_of(shelf, "Patient", "birthdate=2000") == {
        "d": {"$gte": datetime(2000, 1, 1, tzinfo=UTC), "$lte": datetime(2000, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)},
        "dh": {"$lte": datetime(2000, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)},
    }


async def test_two_dates_are_one_range_in_bounded_parts(shelf: Shelf) -> None:
    within, reaching, far = filter_of(shelf, "Encounter", "date=ge2020-03-01&date=lt2020-04-01")["$or"]
    start, end = datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 4, 1, tzinfo=UTC)
    assert within == {"$and": [{"d": {"$gte": start}}, {"d": {"$lt": end}}]}
    assert reaching["$and"][0]["d"] == {"$gte": start - timedelta(milliseconds=1), "$lt": start}
    assert far["$and"][0] == {"dl": True}
    assert far["$and"][1]["d"] == {"$lt": start}


def test_restrictions_keep_their_meaning_when_they_are_combined(definitions: Definitions) -> None:
    status = Criterion(params("Observation", definitions)["status"], (Is("final"),))

    def where(expression: Expression) -> Where:
        return compiled(expression, "Observation", definitions)

    assert where(Anything()) == ANYTHING
    assert where(Nothing()) == NOTHING
    assert where(And((status, Nothing()))) == NOTHING
    assert where(And((Anything(), Anything()))) == ANYTHING
    assert where(Or((Nothing(), Nothing()))) == NOTHING
    assert where(Or((status, Anything()))) == ANYTHING
    assert where(Not(Nothing())) == ANYTHING
    assert where(Not(Anything())) == NOTHING
    assert where(OwnedBy(frozenset())) == NOTHING
    assert where(OwnedBy(frozenset({"a", "b"}))).clause == {"f": {"$in": ["a", "b"]}}
    assert where(And((status, OwnedBy(frozenset({"a"}))))).clause == {"s.status": "final", "f": "a"}
    assert where(And((status, status))).clause == {"$and": [{"s.status": "final"}, {"s.status": "final"}]}
    assert all_of([]) == Anything()
    assert any_of([]) == Nothing()
    assert all_of([status, And((status, Anything()))]) == And((status, status, Anything()))
    assert any_of([Nothing(), status]) == status


def test_ids_and_times_are_never_missing(definitions: Definitions) -> None:
    known = params("Patient", definitions)
    for code in ("_id", "_lastUpdated"):
        assert compiled(Missing(known[code]), "Patient", definitions) == NOTHING
        assert compiled(Not(Missing(known[code])), "Patient", definitions) == ANYTHING


def test_compartments(definitions: Definitions) -> None:
    assert compartment("Patient", "1", "Observation", definitions) == InCompartment("1")
    assert compartment("Patient", "1", "Patient", definitions) == InCompartment("1")
    assert compartment("Patient", "1", "Location", definitions) == Nothing()
    encounter = compartment("Encounter", "1", "Observation", definitions)
    assert isinstance(encounter, Criterion)
    assert encounter.param.code == "encounter"
    own = compartment("Encounter", "1", "Encounter", definitions)
    assert compiled(own, "Encounter", definitions).clause == {"_id": "1"}
    several = compartment("Practitioner", "1", "Encounter", definitions)
    document = {"_id": "e", "s": {"practitioner": ["Practitioner/1"]}, "rf": ["Practitioner/1"]}
    assert matches(several, document)


def observations(count: int) -> Iterator[dict[str, Any]]:
    chance = Random(5)
    for number in range(count):
        day = f"{chance.randrange(2010, 2020)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
        effective = (
            {"effectivePeriod": {"start": day}} if number % 400 == 0 else {"effectiveDateTime": f"{day}T08:00:00Z"}
        )
        yield {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final" if number % 10 else "amended",
            "code": {"coding": [{"system": LOINC, "code": f"c{chance.randrange(8)}"}]},
            "subject": {"reference": f"Patient/{number % 100}"},
            "encounter": {"reference": f"Encounter/{number // 5}"},
            "performer": [{"reference": f"Practitioner/{number % 7}"}],
            **effective,
        }


async def test_each_shape_of_search_walks_the_keys_of_what_it_returns(shelf: Shelf) -> None:
    rows = list(observations(3000))
    for index, facility in enumerate(("a", "b", "c")):
        await shelf.put(*rows[index::3], f=facility)
    owned = Where("clause", {"f": {"$in": ["a", "b"]}})
    for query, access, hint, most in [
        (f"patient=5&code={LOINC}|c1", ANYTHING, "patient_code_date", 1),
        ("patient=5", ANYTHING, "patient_date", 1),
        ("patient=5&status=final", ANYTHING, "patient_date", 2),
        ("patient=5&date=2015", ANYTHING, "patient_date", 1),
        ("patient=5", owned, "patient_date", 2),
        (f"code={LOINC}|c1", ANYTHING, "code_date", 1.1),
        (f"code={LOINC}|c1,{LOINC}|c2", ANYTHING, "code_date", 1.1),
        (f"code={LOINC}|c1", owned, None, 2),
        ("encounter=Encounter/7", ANYTHING, "reference_date", 1),
        ("_id=o1,o2", ANYTHING, "_id_", 2),
        ("date=2015-03", ANYTHING, "date", 1.2),
        ("date=lt2011", ANYTHING, "date", 1.1),
        ("date=ge2014-02-01&date=le2014-02-20", ANYTHING, None, 1.5),
        (f"date=ge2014&date=le2014&code={LOINC}|c1", ANYTHING, None, 2),
        ("_lastUpdated=gt2025&_sort=_lastUpdated", ANYTHING, "updated", 1.1),
        ("", ANYTHING, "date", 1.1),
        ("", owned, "facility_date", 1.2),
        ("subject=5", ANYTHING, None, 2),
        (f"subject=5&code={LOINC}|c1", ANYTHING, None, 20),
    ]:
        planned = shelf.query("Observation", f"{query}&_count=20", access)
        assert planned.hint == hint, query
        keys, documents, found = await shelf.keys_and_docs(planned)
        assert found, query
        assert max(keys, documents) <= most * found + 10, (query, keys, documents, found)


# A second document generator: few values, so that queries meet them, and every awkward shape of each type.

moments = st.sampled_from(
    [
        "2019",
        "2020",
        "2020-02",
        "2020-02-29",
        "2020-03-01T00:00:00Z",
        "2020-02-29T23:30:00-02:00",
        "2020-02-29T10:00:00.123Z",
    ]
)
codes = st.sampled_from(["a", "b", "a|b", "A", "a\\"])
systems = st.sampled_from([LOINC, "urn:x"])
ids = st.sampled_from(["1", "2"])
values = st.sampled_from([1, 5, 5.4, 5.44, 5.45, 6, -5, 100])
words = st.sampled_from(["Müller", "mull", "MULL", "van der Berg", "Berg", "x\ny"])


def interval_of(text: str) -> Interval:
    found = interval(text)
    assert found
    return found


def some(**members: Any) -> Any:
    return st.fixed_dictionaries({}, optional=members)


codings = some(system=systems, code=codes, display=words)
concepts = some(coding=st.lists(codings, min_size=1, max_size=2), text=words)
comparators = st.sampled_from(["<", "<=", ">=", ">"])
units = st.sampled_from(["mg", "g", "kg", "[pH]", "mol/m3", "Cel", "[degF]", "nonsense"])
quantities = st.one_of(
    some(value=values, code=codes, system=systems, unit=codes, comparator=comparators),
    some(value=values, code=units, system=st.just(UCUM), comparator=comparators),
)
identifiers = some(system=systems, value=codes)
references = st.one_of(
    st.builds("{}/{}".format, st.sampled_from(["Patient", "Practitioner", "Group"]), ids).map(
        lambda text: {"reference": text}
    ),
    some(identifier=identifiers, display=words),
)
# What begins after its end is refused before it is stored (per-1).
periods = some(start=moments, end=moments).filter(
    lambda period: interval_of(period.get("start", "0001"))[0] <= interval_of(period.get("end", "9999"))[1]
)
found_observations = some(
    status=st.sampled_from(["final", "amended"]),
    code=concepts,
    category=st.lists(concepts, min_size=1, max_size=2),
    subject=references,
    performer=st.lists(references, min_size=1, max_size=2),
    effectiveDateTime=moments,
    effectivePeriod=periods,
    valueQuantity=quantities,
    component=st.lists(some(code=concepts, valueQuantity=quantities), min_size=1, max_size=2),
    identifier=st.lists(identifiers, min_size=1, max_size=2),
    meta=some(
        tag=st.lists(codings, min_size=1), profile=st.lists(st.sampled_from(["http://x/p", "http://x/p|1"]), min_size=1)
    ),
).map(lambda members: {"resourceType": "Observation", **members})
found_patients = some(
    active=st.booleans(),
    gender=st.sampled_from(["male", "female"]),
    birthDate=st.sampled_from(["2019", "2020-02", "2020-02-29"]),
    name=st.lists(some(family=words, given=st.lists(words, min_size=1)), min_size=1, max_size=2),
    address=st.lists(some(city=words, line=st.lists(words, min_size=1)), min_size=1),
    generalPractitioner=st.lists(references, min_size=1, max_size=2),
    telecom=st.lists(some(system=st.sampled_from(["phone", "email"]), value=codes), min_size=1),
    link=st.lists(references.map(lambda other: {"other": other}), min_size=1, max_size=2),
).map(lambda members: {"resourceType": "Patient", **members})

prefixes = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
TEXTS = {
    "date": st.builds("{}{}".format, prefixes, moments),
    "quantity": st.one_of(
        st.builds("{}{}".format, prefixes, values),
        st.builds("{}{}|{}|{}".format, prefixes, values, st.sampled_from(["", LOINC, "urn:x"]), st.sampled_from(["", "a", "b"])),
        st.builds("{}{}|{}|{}".format, prefixes, values, st.just(UCUM), units),
    ),
    "reference": st.one_of(
        ids, st.builds("{}/{}".format, st.sampled_from(["Patient", "Practitioner", "Group"]), ids), codes, st.builds("{}|{}".format, systems, codes)
    ),
    "string": words,
    "token": st.one_of(
        codes, ids, st.builds("{}|{}".format, systems, codes), st.builds("|{}".format, codes), st.builds("{}|".format, systems),
        st.sampled_from(["male", "true", "false", "final", r"a\|b"]),
    ),
    "uri": st.sampled_from(["http://x/p", "http://x/p|1", "http://x/", "http://x/p/q"]),
}  # fmt: skip
MODIFIERS = {
    "date": [""],
    "quantity": [""],
    "reference": ["", "", ":identifier", ":Patient"],
    "string": ["", ":exact", ":contains"],
    "token": ["", ":not", ":text"],
    "uri": ["", ":below", ":above"],
}
OBSERVATION = [
    "status", "code", "category", "subject", "patient", "performer", "date", "value-quantity", "combo-code",
    "combo-value-quantity", "component-value-quantity", "identifier", "_tag", "_profile", "_id",
]  # fmt: skip
PATIENT = [
    "active", "gender", "birthdate", "name", "family", "given", "address", "address-city", "general-practitioner", "link",
    "telecom", "phone", "deceased",
]  # fmt: skip


@st.composite
def pairs_of(draw: st.DrawFn, resource_type: str, codes_of_type: list[str]) -> tuple[str, str]:
    code = draw(st.sampled_from(codes_of_type))
    if draw(st.integers(0, 9)) == 0:
        return f"{code}:missing", draw(st.sampled_from(["true", "false"]))
    kind = params(resource_type, DEFINITIONS)[code].type
    alternatives = draw(st.lists(TEXTS[kind], min_size=1, max_size=3))
    return code + draw(st.sampled_from(MODIFIERS[kind])), ",".join(alternatives)


def searches(resource_type: str, codes_of_type: list[str]) -> Any:
    return st.lists(pairs_of(resource_type, codes_of_type), min_size=1, max_size=2)


@pytest.mark.parametrize(
    ("resource_type", "resources", "queries"),
    [
        ("Observation", found_observations, searches("Observation", OBSERVATION)),
        ("Patient", found_patients, searches("Patient", PATIENT)),
    ],
)
async def test_the_filter_and_the_evaluation_in_memory_agree(
    shelf: Shelf, resource_type: str, resources: Any, queries: Any
) -> None:
    await shelf.store.prepare([resource_type])
    collection = shelf.database[resource_type]
    examples: list[tuple[list[dict[str, Any]], list[list[tuple[str, str]]]]] = []

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(resources, min_size=15, max_size=15), st.lists(queries, min_size=40, max_size=40))
    def gather(documents: list[dict[str, Any]], asked: list[list[tuple[str, str]]]) -> None:
        examples.append((documents, asked))

    gather()
    compared = hits = 0
    for generated, asked in examples:
        made = [shelf.document({**resource, "id": f"{number}"}) for number, resource in enumerate(generated)]
        # Periods that end before they begin are refused by validation (per-1), so none is ever stored.
        documents = [row for row in made if "d" not in row or row["d"] <= row["dh"]]
        await collection.delete_many({})
        await collection.insert_many(documents)
        for pairs in asked:
            try:
                request = shelf.request_of(resource_type, pairs)
            except InvalidParameter:
                continue
            where = compiled(request.expression, resource_type, DEFINITIONS)
            found = (
                {row["_id"] async for row in collection.find(dict(where.clause), {"_id": 1})}
                if where != NOTHING
                else set()
            )
            expected = {row["_id"] for row in documents if matches(request.expression, row)}
            assert found == expected, (pairs, where, [row for row in documents if row["_id"] in found ^ expected])
            compared += 1
            hits += bool(expected)
    assert compared > 500
    assert hits > 200
