"""References that dangled before `record.references: enforce`: they stay as they are, and no new one comes beside them."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from fhir_server.main import running
from fhir_server.model import json
from fhir_server.model.errors import Unprocessable
from fhir_server.settings import Record, Settings

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
