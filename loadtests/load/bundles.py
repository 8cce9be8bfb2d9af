"""The bundle import of the public FHIR server benchmark, for Locust: clients that post Synthea transactions, patient by patient.

Bundles of shared resources (hospitals, practitioners) go first. The bundles come from the reference data (`FHIR_TEST_DATA`, else
`../shared/data`); where they are missing, people are made up.
"""

import itertools
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locust import events, task
from locust.env import Environment

from loadtests import population
from loadtests.load.client import WATCHING, Client
from loadtests.load.seeding import post, transaction

ARCHIVE = "synthea/synthea-r4-smart-part1.tar.xz"
MOST = 64
"""Bundles that are kept in memory, and sent again and again."""


class Sender(Client):
    """One client that posts bundle after bundle."""

    @task
    def send(self) -> None:
        """Post the next bundle."""
        entries, body = next(BUNDLES)
        status, _ = self.sent("POST", "", "transaction", body)
        WATCHING.counted["resources"] += entries if status == 200 else 0


def synthea() -> tuple[list[bytes], list[bytes]]:
    """Return (shared bundles, some patients' bundles) of the reference data; nothing where they are missing."""
    root = Path(__file__).parents[2]
    archive = Path(os.environ.get("FHIR_TEST_DATA", root.parent / "shared" / "data")) / ARCHIVE
    shared, patients = list[bytes](), list[bytes]()
    if archive.exists():
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content and "Information" in member.name:
                    shared.append(content.read())
                elif content and len(patients) < MOST:
                    patients.append(content.read())
    return shared, patients


def made_up() -> list[bytes]:
    """Return bundles of made-up people."""
    return [json.dumps(transaction(population.of(person)), default=float).encode() for person in range(MOST)]


def entries(bundle: bytes) -> int:
    """Return how many resources a bundle brings."""
    return len(json.loads(bundle)["entry"])


BUNDLES: Iterator[tuple[int, str]] = iter(())


def _prepare(environment: Environment, **_: Any) -> None:
    global BUNDLES  # noqa: PLW0603 - Locust gives clients no other place that they share
    first, bundles = synthea()
    host = environment.host or ""
    if not bundles:
        post(host, population.shared(MOST))
        bundles = made_up()
    for bundle in first:
        post(host, bundle)
    BUNDLES = itertools.cycle([(entries(bundle), bundle.decode()) for bundle in bundles])


events.init.add_listener(_prepare)  # type: ignore[no-untyped-call]
