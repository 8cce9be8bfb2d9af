"""The table of the leak harness: what is asked of the trail, in which each house has its own events of what is hidden."""

from collections.abc import Iterator

from tests.access.ground import ABSENT, COUNTED, LONG_AGO, Ground, get
from tests.access.house import House
from tests.access.twins import Probe

CRITERIA = (
    "patient=bo", "patient=Patient/linked", f"patient={ABSENT}", "patient=ann", "entity=Patient/bo", "entity=Patient/ann",
    "action=R", "action=E", "type=rest", "subtype=read", "subtype=search-type", "subtype:not=read", "outcome=0", "outcome=4",
    f"date=ge{LONG_AGO}", "entity-role=1", "entity:missing=false", "agent-role=humanuser", "address=127.0.0.1",
    "agent:missing=true", "patient.name=bo", "entity:Patient.name=bo",
)  # fmt: skip


def events(ground: Ground) -> Iterator[Probe]:
    """Yield searches of events by what they are about and by what they are."""
    for kind, name in ground.names:
        yield get(f"AuditEvent?entity={kind}/{name}&{COUNTED}&_count=100")
    for criterion in CRITERIA:
        yield get(f"AuditEvent?{criterion}&{COUNTED}&_count=0")
    for shaped in (
        f"{COUNTED}&_count=1000",
        "_summary=count",
        "_sort=date&_count=1000",
        "_elements=entity&_count=1000",
    ):
        yield get(f"AuditEvent?{shaped}")
        yield get(f"Patient/ann/AuditEvent?{shaped}")
    yield get(f"Patient/bo/AuditEvent?{COUNTED}")


async def kept(house: House) -> list[Probe]:
    """Return reads of the events that are about somebody hidden."""
    rows = await house.service.store.trail.find({"p": "bo"}, 50)
    assert rows
    return [get(f"AuditEvent/{row['_id']}{tail}") for row in rows for tail in ("", "/_history", "/_history/1")]
