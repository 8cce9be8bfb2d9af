"""The search workload of the public FHIR server benchmark, for Locust: `_count=50`, one kind of search after the other.

String, token, reference, date, quantity and composite, alone, in pairs and in triples; sorted; chains and `_has` of one hop
and of two. It asks about the made-up population, of which `LOAD_PERSONS` (default 200) are stored first; where that
many and more are there already (`python -m loadtests.growth`), say how many.
"""

import os
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from locust import events, task
from locust.env import Environment

from loadtests import population
from loadtests.load.client import WATCHING, Client
from loadtests.load.seeding import post
from loadtests.population import LOINC, PERSONS, SNOMED, UCUM

COUNT = 50
People = int
Pairs = tuple[str, list[tuple[str, str]]]


def _observations(*pairs: tuple[str, str]) -> Pairs:
    return "Observation", [*pairs]


def _number(person: People) -> str:
    return f"{PERSONS}|P{person:08d}"


def _year(person: People) -> str:
    return f"{2016 + person % 7}"


HEART = ("code", f"{LOINC}|8867-4")
FAST = ("value-quantity", f"gt100|{UCUM}|/min")
QUESTIONS: Mapping[str, Callable[[People], Pairs]] = MappingProxyType(
    {
        "string": lambda n: ("Patient", [("family", population.family(n)[:5])]),
        "token": lambda _: _observations(HEART),
        "reference": lambda n: _observations(("patient", population.person_id(n))),
        "date": lambda n: _observations(("date", _year(n))),
        "quantity": lambda n: _observations(("value-quantity", f"gt{100 + n % 9}|{UCUM}|/min")),
        "composite": lambda n: _observations(("code-value-quantity", f"{LOINC}|8867-4$gt{100 + n % 9}")),
        "composite of components": lambda n: _observations(
            ("component-code-value-quantity", f"{LOINC}|{population.SYSTOLIC}$gt{160 + n % 19}")
        ),
        "string and token": lambda n: ("Patient", [("family", population.family(n)[:4]), ("gender", "female")]),
        "token and reference": lambda n: _observations(HEART, ("patient", population.person_id(n))),
        "token and date": lambda n: _observations(HEART, ("date", _year(n))),
        "token and quantity": lambda _: _observations(HEART, FAST),
        "reference and date": lambda n: ("Encounter", [("patient", population.person_id(n)), ("date", "ge2015")]),
        "token, date and quantity": lambda n: _observations(HEART, FAST, ("date", _year(n))),
        "token, reference and date": lambda n: _observations(
            ("category", "laboratory"), ("patient", population.person_id(n)), ("date", "ge2016")
        ),
        "sorted by date": lambda n: _observations(("patient", population.person_id(n)), ("_sort", "-date")),
        "sorted by name": lambda n: ("Patient", [("address-city", population.TOWNS[n % 8]), ("_sort", "family")]),
        "chain": lambda n: _observations(HEART, ("patient.identifier", _number(n))),
        "chain of two hops": lambda n: _observations(HEART, ("encounter:Encounter.patient.identifier", _number(n))),
        "_has": lambda n: (
            "Patient",
            [
                ("family", population.family(n)[:4]),
                ("_has:Condition:patient:code", f"{SNOMED}|{population.FOUND[n % 4][0]}"),
            ],
        ),
        "_has of two hops": lambda n: (
            "Practitioner",
            [
                (
                    "_has:Patient:general-practitioner:_has:Observation:patient:_id",
                    f"{population.person_id(n)}-visit-0-8867-4",
                )
            ],
        ),
    }
)


class Searcher(Client):
    """One client that searches without a pause."""

    def on_start(self) -> None:
        """Begin somewhere."""
        self.chance = Random()

    @task
    def search(self) -> None:
        """Ask one question of each kind, about somebody."""
        for name, question in QUESTIONS.items():
            kind, pairs = question(self.chance.randrange(persons()))
            _, bundle = self.sent("GET", f"{kind}?{urlencode([*pairs, ('_count', str(COUNT))])}", name)
            WATCHING.counted["resources"] += len(bundle.get("entry", ()))


def persons() -> int:
    """Return how many people are stored."""
    return int(os.environ.get("LOAD_PERSONS", "200"))


def _seed(environment: Environment, **_: Any) -> None:
    if "LOAD_PERSONS" in os.environ:
        return
    host = environment.host or ""
    post(host, population.shared(persons()))
    for person in range(0, persons(), 10):
        post(host, (row for one in range(person, person + 10) for row in population.of(one)))


events.init.add_listener(_seed)  # type: ignore[no-untyped-call]
