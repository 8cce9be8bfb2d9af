"""A storm of bookings, for Locust: many clients for few slots, of which each may be taken once.

A client looks for free slots, and takes one of the first by a transaction: the Slot becomes busy if it still has the version that
was seen (`ifMatch`), and an Appointment is made if the Slot has none (`ifNoneExist`). Who comes second is told 412 and
looks again; that is no failure. Where no slot is free, some client publishes the next ones. At the end every slot is counted:
one that was taken twice makes the load test fail.
"""

import itertools
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from locust import events, task
from locust.env import Environment

from loadtests.load.client import WATCHING, Client, Json
from loadtests.load.seeding import post, transaction

SLOTS = 100
"""Slots that are published at once."""

CHOICE = 5
"""A client takes one of so many that are free, so most clients want the same."""

FIRST = datetime(2030, 1, 1, tzinfo=UTC)
LENGTH = timedelta(minutes=15)

LATE = frozenset({409, 412})


class Storm:
    """What all clients know of: the schedule, whether somebody publishes its next slots, and how many they are."""

    schedule = f"storm-{uuid4().hex[:8]}"
    numbers = itertools.count()
    publishing = False
    clients = 0


class Booker(Client):
    """One client that books slot after slot."""

    def on_start(self) -> None:
        """Be somebody."""
        Storm.clients += 1
        self.chance = Random()
        self.person = ""

    @task
    def book(self) -> None:
        """Look for a slot and take it."""
        if not self.person:
            _, patient = self.sent("POST", "Patient", "come", {"resourceType": "Patient"})
            self.person = patient.get("id", "")
        free = self.free()
        if not free:
            self.publish()
            return
        slot = self.chance.choice(free)
        with self.client.post("/fhir", json=self.booking(slot), name="take a slot", catch_response=True) as answer:
            if answer.status_code == 200:
                WATCHING.counted["booked"] += 1
            elif answer.status_code in LATE:
                WATCHING.counted["came too late"] += 1
                answer.success()

    def free(self) -> list[Json]:
        """Return the first slots that are free."""
        pairs = {"schedule": f"Schedule/{Storm.schedule}", "status": "free", "_sort": "start", "_count": str(CHOICE)}
        _, found = self.sent("GET", f"Slot?{urlencode(pairs)}", "look for free slots")
        return [entry["resource"] for entry in found.get("entry", ())]

    def booking(self, slot: Json) -> Json:
        """Return the transaction that takes a slot."""
        reference = f"Slot/{slot['id']}"
        appointment = {
            "resourceType": "Appointment",
            "status": "booked",
            "start": slot["start"],
            "end": slot["end"],
            "slot": [{"reference": reference}],
            "participant": [{"actor": {"reference": f"Patient/{self.person}"}, "status": "accepted"}],
        }
        entry = [
            {
                "resource": {**slot, "status": "busy"},
                "request": {"method": "PUT", "url": reference, "ifMatch": f'W/"{slot["meta"]["versionId"]}"'},
            },
            {
                "resource": appointment,
                "request": {"method": "POST", "url": "Appointment", "ifNoneExist": f"slot={reference}"},
            },
        ]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entry}

    def publish(self) -> None:
        """Publish the next slots, unless somebody does."""
        if Storm.publishing:
            time.sleep(0.01)
            return
        Storm.publishing = True
        try:
            self.sent("POST", "", "publish slots", transaction(slots(Storm.schedule, next(Storm.numbers))))
        finally:
            Storm.publishing = False

    def on_stop(self) -> None:
        """Let the last one that goes count."""
        Storm.clients -= 1
        if not Storm.clients:
            self.count()

    def count(self) -> None:
        """Count the appointments of every slot."""
        pairs = {"slot.schedule": f"Schedule/{Storm.schedule}", "_count": "1000"}
        taken: dict[str, int] = {}
        path = f"Appointment?{urlencode(pairs)}"
        while path:
            _, page = self.sent("GET", path, "count")
            for entry in page.get("entry", ()):
                for reference in entry["resource"]["slot"]:
                    taken[reference["reference"]] = taken.get(reference["reference"], 0) + 1
            path = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), "")
        WATCHING.broken += [f"{slot} was taken {times} times." for slot, times in taken.items() if times > 1]
        booked = WATCHING.counted["booked"]
        if len(taken) < booked:
            WATCHING.broken.append(f"{booked} bookings were acknowledged, and {len(taken)} slots are taken.")


def slots(schedule: str, wave: int) -> list[Json]:
    """Return a schedule, and the free slots that a wave adds to it, a quarter of an hour each."""
    rows: list[Json] = [
        {"resourceType": "HealthcareService", "id": f"{schedule}-service", "name": "Vaccination"},
        {
            "resourceType": "Schedule",
            "id": schedule,
            "actor": [{"reference": f"HealthcareService/{schedule}-service"}],
        },
    ]
    for number in range(SLOTS):
        start = FIRST + LENGTH * (wave * SLOTS + number)
        rows.append(
            {
                "resourceType": "Slot",
                "id": f"{schedule}-{wave}-{number}",
                "schedule": {"reference": f"Schedule/{schedule}"},
                "status": "free",
                "start": start.isoformat(),
                "end": (start + LENGTH).isoformat(),
            }
        )
    return rows


def _first(environment: Environment, **_: Any) -> None:
    post(environment.host or "", slots(Storm.schedule, next(Storm.numbers)))


events.init.add_listener(_first)  # type: ignore[no-untyped-call]
