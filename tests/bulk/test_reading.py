"""What an export reads ends with the mandate that it was asked under, and shrinks with it."""

from dataclasses import replace

import pytest

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.bulk import reading
from fhir_server.bulk.reading import Reading, asked_at, settled
from fhir_server.bulk.task import Task
from fhir_server.model.errors import Forbidden
from fhir_server.model.query import NOTHING, Where
from fhir_server.repository import Repository
from fhir_server.store import scanning
from tests.bulk.conftest import Registry


class Narrowed(Unrestricted):
    """Reaches nothing."""

    def where(self, resource_type: str, letter: str) -> Where:
        """Return `NOTHING`."""
        return NOTHING


async def begun(registry: Registry, then: Unrestricted | None) -> tuple[Reading, list[int]]:
    """Return a reading whose mandate is over, or narrower, when it is asked for a second time."""
    whole, asked = registry.service.repository, list[int]()

    async def within() -> Repository:
        asked.append(1)
        if len(asked) == 1:
            return whole
        if then is None:
            raise Forbidden("The grant is over.")
        return replace(whole, scope=then)

    moment = await settled(whole, await asked_at(whole))
    task = Task("system", "", "", moment, ("Patient",))
    return Reading(task, moment, within, whole.definitions), asked


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "AT_ONCE", 1)
    monkeypatch.setattr(reading, "RENEWED_AFTER", -1.0)


async def test_nothing_more_is_read_when_the_grant_is_over(registry: Registry) -> None:
    begins, _ = await begun(registry, None)
    blocks = begins.everything("Patient", [])
    assert (await anext(blocks)).count == 1
    with pytest.raises(Forbidden, match="grant is over"):
        await anext(blocks)


async def test_what_the_grant_does_not_reach_any_more_is_not_read(registry: Registry) -> None:
    begins, asked = await begun(registry, Narrowed("test"))
    assert [block.count async for block in begins.everything("Patient", [])] == [1]
    assert len(asked) == 2
