"""References under `record.references: enforce`: what dangled before stays as it is, and no new one comes beside it, from no process."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.main import running
from fhir_server.model import json
from fhir_server.model.errors import Conflict, Unprocessable
from fhir_server.repository import targets
from fhir_server.repository.targets import BeingDeleted, Targets
from fhir_server.settings import Record, Settings
from fhir_server.store import leaving

Json = dict[str, Any]


def observation(subject: str, performer: str = "", status: str = "final") -> Json:
    more = {"performer": [{"reference": performer}]} if performer else {}
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": status,
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **more,
    }


async def test_what_dangled_before_keeps_nobody_from_changing_something_else(settings: Settings) -> None:
    async with running(settings) as service:
        record = service.repository
        before = replace(record, rules=Record(references="off"))
        gone, other = f"Patient/{uuid4()}", f"Practitioner/{uuid4()}"
        await before.update("Observation", "o", observation(gone))
        changed = await record.update("Observation", "o", observation(gone, status="amended"))
        assert json.decode(changed.stored.body)["status"] == "amended"
        for wrong in (observation(gone, other), observation(f"Patient/{uuid4()}")):
            with pytest.raises(Unprocessable) as refused:
                await record.update("Observation", "o", wrong)
            assert len(refused.value.issues) == 1
        await record.update("Observation", "o", {**observation(gone), "subject": {"display": "Unknown"}})
        with pytest.raises(Unprocessable):  # it was dropped, so it is a new one now
            await record.update("Observation", "o", observation(gone))


@pytest.mark.parametrize("late", [0, 15])
async def test_a_process_that_begins_to_write_while_another_one_deletes_leaves_no_reference_dangling(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """Both have withdrawn before: the one that deletes must learn of the other one, which says only now that it writes.

    How many milliseconds late the one that deletes has heard of the database's time must not matter.
    """
    for name in ("IDLE_AFTER", "HEARTBEAT"):
        monkeypatch.setattr(f"fhir_server.store.clock.{name}", 0.01)
    kept = gone = 0
    async with running(settings) as deleting, running(settings) as beginning:
        estimate = deleting.store.clock._estimate
        monkeypatch.setattr(deleting.store.clock, "_estimate", lambda: estimate() - late)
        for number in range(20):
            await asyncio.sleep(0.05)  # both have withdrawn
            patient = str(uuid4())
            await deleting.repository.update("Patient", patient, {"resourceType": "Patient", "id": patient})

            async def refer(after: int, to: str = patient) -> None:
                await asyncio.sleep(after / 1000)
                resource = observation(f"Patient/{to}")
                await beginning.repository.create("Observation", str(uuid4()), {**resource, "id": str(uuid4())})

            async def delete(after: int, one: str = patient) -> None:
                await asyncio.sleep(after / 1000)
                await deleting.repository.delete("Patient", one)

            answers = await asyncio.gather(
                delete((0, 2, 5, 10, 500)[number % 5]),
                *(refer(number % 8 + after) for after in range(3)),
                return_exceptions=True,
            )
            made = [one for one in answers[1:] if one is None]
            assert all(isinstance(one, Unprocessable) for one in answers[1:] if one is not None), answers
            assert isinstance(answers[0], Conflict) if made else not isinstance(answers[0], BaseException), answers
            kept, gone = kept + bool(made), gone + (not made)
    assert kept
    assert gone


async def test_a_deletion_that_was_halted_for_long_does_not_take_what_was_referred_to_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mark is too old for others to wait any longer; it has looked for references, and goes on when there is one."""
    looked, going_on = asyncio.Event(), asyncio.Event()
    look = Targets.refuse_referrer

    async def halted(own: Targets, resource_type: str, resource_id: str) -> None:
        await look(own, resource_type, resource_id)
        looked.set()
        await going_on.wait()

    async with running(settings) as deleting, running(settings) as referring:
        await deleting.repository.update("Patient", "p", {"resourceType": "Patient", "id": "p"})
        monkeypatch.setattr(Targets, "refuse_referrer", halted)
        deletion = asyncio.create_task(deleting.repository.delete("Patient", "p"))
        await looked.wait()
        with monkeypatch.context() as patience:
            patience.setattr(targets, "PATIENCE", 0.1)
            with pytest.raises(BeingDeleted):  # the mark counts
                await referring.repository.update("Observation", "o", observation("Patient/p"))
        monkeypatch.setattr(leaving, "VALID", timedelta(seconds=-1))
        await referring.repository.update("Observation", "o", observation("Patient/p"))
        going_on.set()
        with pytest.raises(Conflict, match="Observation/o refers to it"):
            await deletion
        await referring.repository.update(
            "Observation", "o", {**observation("Patient/p"), "subject": {"display": "Unknown"}}
        )
        assert await deleting.repository.delete("Patient", "p")
