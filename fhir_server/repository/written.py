"""What a write leaves behind, or would."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.access import advice
from fhir_server.access.granted import PERSONAL
from fhir_server.access.principal import owner
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.intake import Draft, about, custodian
from fhir_server.model import instant
from fhir_server.model.errors import Gone
from fhir_server.model.stored import Stored
from fhir_server.settings import Record
from fhir_server.store import Live, access, history_id
from profiles.issue import Issue

SERVER_OWNED = ("rg", "f", "hb", "va", "op", "adv", "ow")
"""Envelope fields that stay with an instance over its versions."""


@dataclass(frozen=True, slots=True)
class Written:
    """A version that was written (in a transaction: that will be, when it commits).

    Attributes:
        stored: The new version.
        created: Whether the instance did not exist before.
        warnings: Finds what did not refuse it, for who asks to be told.
        shown: Whether the caller may see it; whoever patches without may not.
        held: Whether a hold is or was on it.
    """

    stored: Stored
    created: bool
    warnings: Callable[[], Sequence[Issue]] = tuple
    shown: bool = True
    held: bool = False


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What a write of an instance would make.

    Attributes:
        version: The version number.
        creates: Whether the instance does not exist now.
    """

    version: int
    creates: bool


def envelope(draft: Draft, scope: ScopeFilter, rules: Record, root: str) -> dict[str, Any]:
    """Return the envelope that a new resource of a caller begins with: its zone and its custodian.

    What a patient adds to a record is kept by the facility that keeps the record.
    """
    facility = scope.standing.keepers.get(about(draft)) or scope.facility or rules.facility
    keeper = custodian(draft, facility, root)
    mine = owner(scope.principal) if draft.resource_type in PERSONAL else ""
    begun = {"rg": rules.zone, **({"f": keeper} if keeper else {}), **advice.envelope(scope.principal)}
    return {**begun, "ow": mine} if mine else begun


def kept(live: Live) -> dict[str, Any]:
    """Return what the next version has from the current one."""
    return {name: live.document[name] for name in SERVER_OWNED if name in live.document}


def stored(resource_type: str, document: Mapping[str, Any]) -> Stored:
    """Return the version that is stored as this document."""
    return Stored(resource_type, document["_id"], document["v"], document["lu"], document["j"], document["m"])


def tombstone(live: Live, moment: datetime, order: int) -> dict[str, Any]:
    """Return the history row of a deletion: who may see that there was something, and when it ended."""
    row_id = history_id(live.stored.id, live.stored.vid + 1)
    return {"_id": row_id, "lu": moment, "o": order, "m": "DELETE", "del": True, **access(live.document)}


def gone(last: Stored) -> Gone:
    """Return the error for an instance whose last version is its deletion."""
    return Gone(
        f"{last.resource_type}/{last.id} was deleted on {instant.text(last.last_updated)}. Its _history has the "
        "earlier versions.",
        headers={"ETag": f'W/"{last.vid}"'},
    )


def version(live: Live | None) -> int | None:
    """Return the number of the current version, `None` where there is none."""
    return live.stored.vid if live else None
