"""Searches of contained resources, through the whole server."""

from itertools import chain
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import said

Json = dict[str, Any]
SYSTEM = "urn:contained"


def concept(code: str) -> Json:
    return {"coding": [{"system": SYSTEM, "code": code}]}


def medication(local: str, code: str, **more: Any) -> Json:
    return {"resourceType": "Medication", "id": local, "code": concept(code), **more}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(client: httpx.AsyncClient) -> str:
    """Medications alone, in requests and in a dispense; this suffix is that of ids and codes."""
    mark = uuid4().hex[:10]

    def request(name: str, patient: str, *contained: Json) -> Json:
        # What is contained must be referred to.
        parts = [{"itemReference": {"reference": f"#{one['id']}"}} for one in contained[1:]]
        whole = {**contained[0], **({"ingredient": parts} if parts else {})}
        return {
            "resourceType": "MedicationRequest",
            "id": f"{name}-{mark}",
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{patient}-{mark}"},
            "medicationReference": {"reference": f"#{contained[0]['id']}"},
            "contained": [whole, *contained[1:]],
        }

    rows: list[Json] = [
        {"resourceType": "Patient", "id": f"a-{mark}"},
        {"resourceType": "Patient", "id": f"b-{mark}"},
        {"resourceType": "Organization", "id": f"maker-{mark}", "name": f"Maker {mark}"},
        medication(f"alone-{mark}", f"x{mark}"),
        medication(f"other-{mark}", f"y{mark}"),
        request("one", "a", medication("m1", f"x{mark}", manufacturer={"reference": f"Organization/maker-{mark}"})),
        request("two", "b", medication("m1", f"y{mark}"), medication("m2", f"x{mark}"), medication("m3", f"x{mark}")),
        request("three", "b", medication("m1", f"y{mark}", status="inactive")),
        {
            "resourceType": "MedicationDispense",
            "id": f"d-{mark}",
            "status": "completed",
            "subject": {"reference": f"Patient/a-{mark}"},
            "medicationReference": {"reference": "#m"},
            "contained": [
                medication("m", f"x{mark}", ingredient=[{"itemReference": {"reference": "#part"}}]),
                medication("part", f"z{mark}"),
            ],
        },
    ]
    for row in rows:
        answer = await client.put(f"{row['resourceType']}/{row['id']}", json=row)
        assert answer.status_code == 201, answer.text
    return mark


def shown(bundle: Json, mark: str, mode: str = "match") -> list[str]:
    """Return the end of the fullUrl of the entries of a mode, in order."""
    entries = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [each["fullUrl"].removeprefix("http://localhost/fhir/").replace(f"-{mark}", "") for each in entries]


def asking(code: str, *more: tuple[str, str]) -> str:
    return "Medication?" + urlencode([("code", f"{SYSTEM}|{code}"), *more])


async def ask(client: httpx.AsyncClient, path: str) -> Json:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    bundle: Json = answer.json()
    return bundle


async def walked(client: httpx.AsyncClient, path: str, mark: str) -> list[list[str]]:
    """Return what each page shows, from the first to the last."""
    pages: list[list[str]] = []
    following = path
    while following:
        bundle = await ask(client, following)
        pages.append(shown(bundle, mark))
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return pages


CONTAINERS = ["MedicationDispense/d", "MedicationRequest/two", "MedicationRequest/one"]
CONTAINED = [
    "MedicationDispense/d#m",
    "MedicationRequest/two#m2",
    "MedicationRequest/two#m3",
    "MedicationRequest/one#m1",
]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ((), ["Medication/alone"]),
        ((("_contained", "false"),), ["Medication/alone"]),
        ((("_contained", "true"),), CONTAINERS),
        ((("_contained", "true"), ("_containedType", "container")), CONTAINERS),
        ((("_contained", "true"), ("_containedType", "contained")), CONTAINED),
        ((("_contained", "both"),), [*CONTAINERS, "Medication/alone"]),
        ((("_contained", "both"), ("_containedType", "contained")), [*CONTAINED, "Medication/alone"]),
    ],
)
async def test_each_value_finds_its_own(
    client: httpx.AsyncClient, record: str, more: tuple[tuple[str, str], ...], expected: list[str]
) -> None:
    bundle = await ask(client, asking(f"x{record}", *more))
    assert shown(bundle, record) == expected
    assert bundle["total"] == len(expected)
    for count in (1, 2, 3):
        pages = await walked(client, asking(f"x{record}", *more, ("_count", str(count))), record)
        assert [one for each in pages for one in each] == expected
        assert {len(each) for each in pages[:-1]} <= {count}
    for kind in (("_summary", "count"), ("_total", "accurate"), ("_total", "estimate")):
        assert (await ask(client, asking(f"x{record}", *more, ("_count", "1"), kind)))["total"] == len(expected)


@pytest.mark.parametrize("kind", ["container", "contained"])
async def test_the_order_is_that_of_the_containers(client: httpx.AsyncClient, record: str, kind: str) -> None:
    for sort in ("_lastUpdated", "-_lastUpdated", "_id", "-_id"):
        asked = asking(f"x{record}", ("_contained", "true"), ("_containedType", kind), ("_sort", sort), ("_count", "1"))
        found = [one.partition("#")[0] for each in await walked(client, asked, record) for one in each]
        last = [*reversed(CONTAINERS)] if "last" in sort else sorted(CONTAINERS, key=lambda one: one.split("/")[1])
        expected = [*reversed(last)] if sort.startswith("-") else last
        assert [*dict.fromkeys(found)] == expected


async def test_criteria_hold_of_one_contained_resource(client: httpx.AsyncClient, record: str) -> None:
    both = [("code", f"{SYSTEM}|x{record}"), ("code", f"{SYSTEM}|y{record}"), ("_contained", "true")]
    assert shown(await ask(client, "Medication?" + urlencode(both)), record) == []
    inactive = asking(f"y{record}", ("status", "inactive"), ("_contained", "true"))
    assert shown(await ask(client, inactive), record) == ["MedicationRequest/three"]
    without = asking(f"y{record}", ("status:missing", "true"), ("_contained", "true"))
    assert shown(await ask(client, without), record) == ["MedicationRequest/two"]
    local = asking(f"x{record}", ("_id", "m1"), ("_contained", "true"))
    assert shown(await ask(client, local), record) == ["MedicationRequest/one"]
    neither = asking(f"x{record}", ("_id", f"one-{record}"), ("_contained", "true"))
    assert shown(await ask(client, neither), record) == []


async def test_the_container_says_when_it_was_last_updated(client: httpx.AsyncClient, record: str) -> None:
    past, future = ("_lastUpdated", "lt2020"), ("_lastUpdated", "ge2020")
    for kind in ("container", "contained"):
        more = (("_contained", "both"), ("_containedType", kind))
        assert shown(await ask(client, asking(f"x{record}", past, *more)), record) == []
        assert len(shown(await ask(client, asking(f"x{record}", future, *more)), record)) > 3


async def test_chains_lead_from_what_is_contained(client: httpx.AsyncClient, record: str) -> None:
    query = urlencode([("manufacturer.name", f"maker {record}"), ("_contained", "true")])
    assert shown(await ask(client, f"Medication?{query}"), record) == ["MedicationRequest/one"]
    query = urlencode([("manufacturer", f"Organization/maker-{record}"), ("_contained", "true")])
    assert shown(await ask(client, f"Medication?{query}"), record) == ["MedicationRequest/one"]


async def test_containers_bring_their_includes(client: httpx.AsyncClient, record: str) -> None:
    include = ("_include", "MedicationRequest:patient")
    for count in ("1", "50"):
        asked = asking(f"x{record}", ("_contained", "both"), ("_count", count), include)
        included: list[str] = []
        while asked:
            bundle = await ask(client, asked)
            included += shown(bundle, record, "include")
            asked = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        assert sorted(included) == ["Patient/a", "Patient/b"]


async def test_what_is_contained_is_returned_as_it_is(client: httpx.AsyncClient, record: str) -> None:
    more = (("_contained", "true"), ("_containedType", "contained"))
    entries = (await ask(client, asking(f"x{record}", *more)))["entry"]
    container = await ask(client, f"MedicationDispense/d-{record}")
    assert entries[0]["resource"] == container["contained"][0]
    entries = (await ask(client, asking(f"x{record}", *more, ("_elements", "code"))))["entry"]
    assert {*entries[0]["resource"]} == {"resourceType", "id", "meta", "code"}
    both = asking(f"x{record}", ("_contained", "true"), ("_elements", "status"))
    assert {entry["resource"].get("status") for entry in (await ask(client, both))["entry"]} == {"active", "completed"}


async def test_a_compartment_holds_what_names_its_patient(client: httpx.AsyncClient, record: str) -> None:
    def report(name: str, subject: str) -> Json:
        return {
            "resourceType": "DiagnosticReport",
            "id": f"{name}-{record}",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{subject}-{record}"},
            "result": [{"reference": "#o"}],
            "contained": [
                {
                    "resourceType": "Observation",
                    "id": "o",
                    "status": "final",
                    "code": {"text": "x"},
                    "subject": {"reference": f"Patient/{subject}-{record}"},
                }
            ],
        }

    for row in (report("ra", "a"), report("rb", "b")):
        assert (await client.put(f"DiagnosticReport/{row['id']}", json=row)).status_code == 201
    bundle = await ask(client, f"Patient/a-{record}/Observation?_contained=true&_containedType=contained")
    assert shown(bundle, record) == ["DiagnosticReport/ra#o"]
    inside = f"Patient/a-{record}/*?_contained=true&_sort=_id"
    for more, found in (
        ("", ["DiagnosticReport/ra"]),
        ("&_containedType=contained", ["DiagnosticReport/ra#o"]),
        ("&_containedType=contained&_type=Condition,Observation", ["DiagnosticReport/ra#o"]),
        ("&_containedType=contained&_type=Condition", []),
    ):
        assert shown(await ask(client, inside + more), record) == found
    both = await ask(
        client, f"Patient/a-{record}/*?_contained=both&_containedType=contained&_type=DiagnosticReport,Observation"
    )
    assert sorted(shown(both, record)) == ["DiagnosticReport/ra", "DiagnosticReport/ra#o"]
    assert (await ask(client, f"{inside}&_summary=count"))["total"] == 1


async def test_several_types_are_found_inside_of_others(client: httpx.AsyncClient, record: str) -> None:
    coded = urlencode([("code", f"{SYSTEM}|x{record}")])
    for count in ("1", "2", "50"):
        asked = f"?_type=Medication,Substance&{coded}&_contained=true&_count={count}"
        assert [*chain.from_iterable(await walked(client, asked, record))] == CONTAINERS
        assert [*chain.from_iterable(await walked(client, f"{asked}&_containedType=contained", record))] == CONTAINED
    both = f"?_type=Medication,Substance&{coded}&_contained=both&_total=accurate&_count=2"
    assert sorted(chain.from_iterable(await walked(client, both, record))) == sorted([*CONTAINERS, "Medication/alone"])
    assert (await ask(client, both))["total"] == 4


async def test_a_paging_link_belongs_to_what_it_was_made_for(client: httpx.AsyncClient, record: str) -> None:
    asked = asking(f"x{record}", ("_contained", "both"), ("_count", "1"))
    link = (await ask(client, asked))["link"][1]["url"]
    for other in ("_contained=true", "_contained=false", "_contained=both&_containedType=contained"):
        answer = await client.get(link.replace("_contained=both", other))
        assert answer.status_code == 400, answer.text
        assert "belongs to another search" in said(answer)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Medication?_contained=some", "'some' is not a valid _contained. It takes false, true, both."),
        ("Medication?_contained=true&_containedType=all", "It takes container, contained."),
        ("Medication?_contained=true&_contained=both", "is given more than once"),
        ("Medication?_contained:not=true", "The parameter '_contained' has no modifier 'not'."),
        ("Medication?_contained=true&_sort=status", "_sort takes _id, _lastUpdated"),
        ("Medication?_contained=true&_containedType=contained&_include=Medication:manufacturer", "cannot be included"),
        ("Medication?_contained=true&_containedType=contained&_revinclude=List:item", "cannot be included"),
        ("Medication?_contained=true&_containedType=contained&_elements=subject", "not a top-level element of"),
        ("Medication?_contained=true&_has:MedicationRequest:medication:status=active", "nothing except its container"),
        ("Medication?_contained=both&_list=1", "nothing except its container"),
        ("Medication?_contained=true&_filter=status eq active or _lastUpdated gt 2020", "Write it as a parameter of its own"),
        ("Medication?_contained=true&_lastUpdated:missing=true", "Write it as a parameter of its own"),
        ("?_type=Medication,Patient&_contained=true&code=x", "Not all of Medication, Patient have a search parameter 'code'"),
        ("?_type=Medication&_contained=true&_has:List:item:code=x", "nothing except its container"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, path: str, text: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400, answer.text
    assert text in said(answer)


async def test_what_was_contained_is_not_found_any_more(client: httpx.AsyncClient, record: str) -> None:
    more = (("_contained", "true"), ("_containedType", "contained"))
    code = f"gone{record}"
    row = {
        "resourceType": "MedicationStatement",
        "id": f"s-{record}",
        "status": "active",
        "subject": {"reference": f"Patient/a-{record}"},
        "medicationReference": {"reference": "#m"},
        "contained": [medication("m", code)],
    }
    assert (await client.put(f"MedicationStatement/s-{record}", json=row)).status_code == 201
    assert shown(await ask(client, asking(code, *more)), record) == ["MedicationStatement/s#m"]
    del row["contained"], row["medicationReference"]
    row["medicationCodeableConcept"] = concept(code)
    assert (await client.put(f"MedicationStatement/s-{record}", json=row)).status_code == 200
    assert shown(await ask(client, asking(code, *more)), record) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("MedicationRequest?medication.code={x}", ["one"]),
        ("MedicationRequest?medication:Medication.code={y}&_sort=-_lastUpdated", ["three", "two"]),
        ("MedicationRequest?medication.code={y}&medication.status=inactive", ["three"]),
        ("MedicationRequest?medication.code:not={y}&_id=one-{mark},two-{mark},three-{mark}", ["one"]),
        ("MedicationRequest?medication.manufacturer.name=maker {mark}", ["one"]),
        ("MedicationRequest?medication.ingredient.code={x}", []),
        ("MedicationRequest?_filter=medication.code eq {y} and medication.status eq inactive", ["three"]),
        ("MedicationRequest?medication.code={x}&_total=accurate&_summary=count", []),
        ("MedicationRequest?medication._lastUpdated=gt2020&medication.code={x}", ["one"]),
        ("MedicationRequest?medication._has:List:item:status=current&medication.code={x}", []),
        ("MedicationDispense?medication.code={x}", ["d"]),
        ("MedicationDispense?medication.code={z}", []),
        ("Patient?_has:MedicationRequest:patient:medication.code={x}", ["a"]),
    ],
)
async def test_chains_lead_to_what_the_resource_itself_contains(
    client: httpx.AsyncClient, record: str, path: str, expected: list[str]
) -> None:
    codes = {letter: f"{SYSTEM}|{letter}{record}" for letter in "xyz"}
    bundle = await ask(client, path.format(mark=record, **codes))
    assert [one.split("/")[1] for one in shown(bundle, record)] == expected
    if "count" in path:
        assert bundle["total"] == 1


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated"])
async def test_pages_show_each_contained_resource_once_whatever_is_updated_between_them(
    client: httpx.AsyncClient, sort: str
) -> None:
    mark = uuid4().hex[:10]

    def basket(number: int) -> Json:
        parts = [{"itemReference": {"reference": f"#m{each}"}} for each in (1, 2)]
        return {
            "resourceType": "MedicationDispense",
            "id": f"b{number}-{mark}",
            "status": "completed",
            "medicationReference": {"reference": "#m0"},
            "contained": [medication("m0", mark, ingredient=parts), medication("m1", mark), medication("m2", mark)],
        }

    for number in range(4):
        assert (await client.put(f"MedicationDispense/b{number}-{mark}", json=basket(number))).status_code == 201
    more = (("_contained", "true"), ("_containedType", "contained"), ("_count", "2"), ("_sort", sort))
    found: list[str] = []
    following, turn = asking(mark, *more), 0
    while following:
        bundle = await ask(client, following)
        found += shown(bundle, mark)
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        # Also the one of which a part was shown.
        for number in (turn % 4, 3 - turn % 4):
            assert (await client.put(f"MedicationDispense/b{number}-{mark}", json=basket(number))).status_code == 200
        turn += 1
    assert sorted(found) == [f"MedicationDispense/b{number}#m{each}" for number in range(4) for each in range(3)]
