"""Sorting and paging in a real MongoDB: total orders, missing values last, every resource on exactly one page."""

from typing import Any

import pytest

from fhir_server.model.query import ANYTHING
from fhir_server.search.compile import plan
from tests.search.shelf import Shelf


def patient(number: int, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number:02d}", **members}


def observation(number: int, **members: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": f"o{number:02d}", "status": "final", "code": {"text": "x"}, **members}


PEOPLE = [
    patient(1, birthDate="1980-05-05", name=[{"family": "Müller", "given": ["Ada", "Zoe"]}], gender="female"),
    patient(2, name=[{"family": "adams", "given": ["Bea"]}]),
    patient(3, birthDate="1980", name=[{"family": "Zapf"}, {"family": "Abel"}], gender="male"),
    patient(4, birthDate="1990-01", name=[{"given": ["Cid"]}], gender="male"),
    patient(5),
    patient(6, birthDate="1980-05-05", name=[{"family": "Müller", "given": ["Bo"]}], gender="other"),
    patient(7, birthDate="1970-01-01", name=[{"family": "Muller"}]),
]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", "p04 p06 p01 p03 p07 p05 p02"),  # by the primary date, the newest first
        ("birthdate", "p07 p03 p01 p06 p04 p02 p05"),
        ("-birthdate", "p04 p06 p01 p03 p07 p05 p02"),
        ("_lastUpdated", "p01 p02 p03 p04 p05 p06 p07"),
        ("-_lastUpdated", "p07 p06 p05 p04 p03 p02 p01"),
        ("_id", "p01 p02 p03 p04 p05 p06 p07"),
        ("-_id", "p07 p06 p05 p04 p03 p02 p01"),
        ("family", "p03 p02 p01 p06 p07 p04 p05"),  # p03 by Abel
        ("-family", "p03 p07 p06 p01 p02 p05 p04"),  # p03 by Zapf
        ("family,given", "p03 p02 p01 p06 p07 p04 p05"),
        ("family,-_lastUpdated", "p03 p02 p07 p06 p01 p05 p04"),
        ("gender", "p01 p03 p04 p06 p02 p05 p07"),
        ("-gender", "p06 p04 p03 p01 p07 p05 p02"),
        ("gender,birthdate", "p01 p03 p04 p06 p07 p02 p05"),
        ("-gender,-birthdate", "p06 p04 p03 p01 p07 p05 p02"),
        ("birthdate,-_id", "p07 p03 p06 p01 p04 p05 p02"),
        ("name", "p03 p01 p02 p06 p04 p07 p05"),  # computed: Abel, Ada, adams, Bo, Cid, Muller
    ],
)
async def test_patients_in_order_on_one_page_and_on_pages_of_any_size(shelf: Shelf, sort: str, expected: str) -> None:
    await shelf.put(*PEOPLE)
    query = f"_sort={sort}&" if sort else ""
    assert await shelf.ids("Patient", query) == expected.split()
    for size in (1, 2, 3, 7):
        pages = await shelf.walk("Patient", f"{query}_count={size}")
        assert [one for page in pages for one in page] == expected.split()
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
        assert pages[-1]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("value-quantity", "o02 o01 o03 o04"),
        ("-value-quantity", "o01 o02 o04 o03"),
        ("subject", "o03 o01 o02 o04"),
        ("-subject", "o02 o01 o03 o04"),
        ("code", "o02 o01 o04 o03"),
        ("combo-code", "o02 o03 o01 o04"),
        ("-combo-code", "o03 o04 o01 o02"),
        ("performer,-value-quantity", "o04 o01 o02 o03"),
    ],
)
async def test_any_parameter_can_be_sorted_by(shelf: Shelf, sort: str, expected: str) -> None:
    def code(*codes: str) -> dict[str, Any]:
        return {"coding": [{"system": "http://loinc.org", "code": one} for one in codes]}

    await shelf.put(
        observation(1, valueQuantity={"value": 10.5}, subject={"reference": "Patient/b"}, code=code("8302-2")),
        observation(2, valueQuantity={"value": 9}, subject={"reference": "Patient/c"}, code=code("8302")),
        observation(3, subject={"reference": "Group/x"}, component=[{"code": code("8302-0")}, {"code": code("9")}]),
        observation(4, performer=[{"reference": "Patient/a", "identifier": {"value": "z"}}], code=code("8302-20")),
    )
    assert await shelf.ids("Observation", f"_sort={sort}") == expected.split()
    pages = await shelf.walk("Observation", f"_sort={sort}&_count=1")
    assert pages == [[one] for one in expected.split()]


async def test_texts_and_codes_are_equal_for_the_next_key_where_they_are_equal_in_search(shelf: Shelf) -> None:
    def value_set(number: int, title: str, code: str) -> dict[str, Any]:
        return {
            "resourceType": "ValueSet",
            "id": f"v{number}",
            "title": title,
            "identifier": [{"value": code, "system": "u"}],
        }

    await shelf.put(
        value_set(1, "MÜLLER", "a|b"),
        value_set(2, "muller", "a|c"),
        value_set(3, "Müller", "a\\"),
        value_set(4, "müller", "a"),
    )
    assert await shelf.ids("ValueSet", "_sort=title,-_id") == ["v4", "v3", "v2", "v1"]
    assert await shelf.ids("ValueSet", "_sort=identifier") == ["v4", "v3", "v1", "v2"]


async def test_the_usual_orders_come_from_an_index_from_any_page_on(shelf: Shelf) -> None:
    await shelf.put(
        *(
            patient(number, birthDate=f"19{number % 90 + 10}", name=[{"family": f"F{number % 7}"}])
            for number in range(300)
        )
    )
    for sort in ("", "birthdate", "-birthdate", "_lastUpdated", "-_lastUpdated", "family", "-family", "_id"):
        query = shelf.query("Patient", f"_sort={sort}&_count=20" if sort else "_count=20")
        assert query.hint
        keys, docs, found = await shelf.keys_and_docs(query)
        assert found == 21
        assert (keys, docs) <= (23, 21)


async def test_a_page_stays_where_it_is_when_newer_resources_arrive(shelf: Shelf) -> None:
    await shelf.put(*PEOPLE)
    request = shelf.request("Patient", "_count=3&_sort=-_lastUpdated")
    first = await shelf.store.find(plan(request, ANYTHING, None, shelf.definitions))
    await shelf.put(patient(8), patient(9))
    pages = await shelf.walk("Patient", "_count=3&_sort=-_lastUpdated")
    assert [one.id for one in first][:3] == ["p07", "p06", "p05"]
    assert pages[0] == ["p09", "p08", "p07"]
