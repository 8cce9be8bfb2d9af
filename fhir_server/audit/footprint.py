"""What one interaction leaves in the audit trail: who asked for what, and whose records it touched, as a compact row.

A footprint goes with the repository through an interaction and gathers what is touched; whoever ends the interaction, or commits
its write, turns it into a row. Rows hold ids and codes only; names are resolved when somebody reads the trail (product.md 11).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qsl

from fhir_server.audit.codes import POLICY_READ
from fhir_server.model import ids
from fhir_server.model.request import FhirRequest, Pairs
from fhir_server.store import Extra, Trail

Row = dict[str, Any]

UNKNOWN = "unknown"
"""The kind of a request that names no interaction."""

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "create": "C",
        "read": "R",
        "vread": "R",
        "history-instance": "R",
        "update": "U",
        "patch": "U",
        "delete": "D",
        POLICY_READ: "R",
    }
)
"""FHIR action by kind; everything else is executed (`E`), as BALP has it for queries."""

PURPOSES: Mapping[str, str] = MappingProxyType({"patient": "PATRQT", "staff": "TREAT", "administrator": "HSYSADMIN"})
"""Purpose of use (v3-ActReason) by audience, where nothing says otherwise."""

BROKEN_GLASS = "BTG"

SHARED = frozenset(
    {
        "Account",
        "Appointment",
        "AppointmentResponse",
        "AuditEvent",
        "Group",
        "Patient",
        "Person",
        "Provenance",
        "Schedule",
    }
)
"""Types that are about all patients whom they name; others of the Patient compartment are about the first of them."""

FAILED, BROKEN = 400, 500


class Who(Protocol):
    """Who asks, as far as the trail keeps it."""

    @property
    def audience(self) -> str:
        """patient, staff, administrator, system, server."""
        ...

    @property
    def client_id(self) -> str:
        """The app or service."""
        ...

    @property
    def user_id(self) -> str:
        """The person."""
        ...

    @property
    def grant_id(self) -> str:
        """The grant."""
        ...

    @property
    def acting_as(self) -> str:
        """The role that the person works in."""
        ...

    @property
    def purpose(self) -> str:
        """Purpose of use that the client is registered with."""
        ...


class Caller(Protocol):
    """Who asks, and for which facility."""

    @property
    def principal(self) -> Who:
        """Who asks."""
        ...

    @property
    def facility(self) -> str:
        """The facility."""
        ...


@dataclass(frozen=True, slots=True)
class Pen:
    """What rows are written with.

    Attributes:
        trail: Where they are kept.
        clock: The database's time.
        clean: Query to what is kept of it.
        policy: Hash of the policy by which it is decided who may do what; empty to keep none.
    """

    trail: Trail
    clock: Callable[[], datetime]
    clean: Callable[[Pairs], str]
    policy: str = ""


def patients_of(resource_type: str, envelope: Mapping[str, Any]) -> list[str]:
    """Return the patients whose record something belongs to, by the `p` and `ps` of its envelope (see `Footprint`)."""
    found = [envelope["p"]] if envelope.get("p") else []
    return [*found, *envelope.get("ps", ())[: None if resource_type in SHARED else 1]]


class Footprint:
    """One interaction on its way.

    Attributes:
        kind: Code of the interaction, `$name` of an operation, `unknown` where the request names none.
        resource_type: Type in the URL, or of the members of a compartment.
        target: `Type/id` in the URL.
        pairs: Parameters of the query.
        purpose: Purpose of use, where the interaction has one of its own.
        detail: Further codes and ids.
        bundle: What the entries of one bundle have in common; empty outside of bundles.
        changes: Whether it is of a kind that changes something.
        is_written: Whether a row was committed with a write of this interaction.
    """

    __slots__ = (
        "_entities",
        "_keepers",
        "_patients",
        "_pen",
        "bundle",
        "caller",
        "changes",
        "detail",
        "is_written",
        "kind",
        "pairs",
        "purpose",
        "request",
        "resource_type",
        "target",
    )

    def __init__(
        self,
        request: FhirRequest,
        caller: Caller | None,
        pen: "Pen",
        bundle: str = "",
    ) -> None:
        """Begin.

        Args:
            request: What is asked.
            caller: Who asks; `None` for somebody who was not let in.
            pen: What it is written with.
            bundle: The bundle that it is an entry of.
        """
        self.request = request
        self.caller = caller
        self.bundle = bundle
        self.kind = UNKNOWN
        self.resource_type = self.target = self.purpose = ""
        self.pairs = request.query
        self.detail: dict[str, Any] = {}
        self.changes = self.is_written = False
        self._pen = pen
        self._entities: dict[str, None] = {}
        self._patients: dict[str, None] = {}
        self._keepers: dict[str, None] = {}

    def shared(self) -> str:
        """Return what the rows of this bundle and of its entries have in common."""
        self.bundle = self.bundle or ids.new()
        return self.bundle

    def touch(self, resource_type: str, resource_id: str, version: int, envelope: Mapping[str, Any]) -> None:
        """Note a version that was read or written, and whose record it belongs to."""
        self._entities[f"{resource_type}/{resource_id}/_history/{version}"] = None
        self.note_patients(resource_type, envelope)

    def note_patients(self, resource_type: str, envelope: Mapping[str, Any]) -> None:
        """Note whose record something belongs to, and who keeps it: `p`, `ps` and `f` of its envelope.

        A patient who only took part in what is about another one, such as the performer of an observation, is not told of it.
        """
        self._patients.update(dict.fromkeys(patients_of(resource_type, envelope)))
        if (keeper := envelope.get("f")) and ("p" in envelope or "ps" in envelope):
            self._keepers[keeper] = None

    def hand_out(self, patients: Iterable[str], keepers: Iterable[str]) -> None:
        """Note whose records a job has handed out, and who keeps them."""
        self._patients.update(dict.fromkeys(patients))
        self._keepers.update(dict.fromkeys(keepers))

    def reset(self) -> None:
        """Forget what was touched: the interaction begins anew."""
        self._entities.clear()
        self._patients.clear()
        self._keepers.clear()

    def row(self, status: int) -> Row:
        """Return the row of the interaction, which ends with this status; what was touched is then told."""
        request, caller = self.request, self.caller
        kind = self.kind
        row: Row = {
            "_id": ids.new(),
            "t": self._pen.clock(),
            "k": kind,
            "a": ACTIONS.get(kind, "E"),
            "oc": "0" if status < FAILED else "4" if status < BROKEN else "8",
            "st": status,
        }
        if caller is not None:
            self._name(row, caller)
        self._tell(row)
        if pairs := self._asked():
            row["q"] = self._pen.clean(pairs)
        row["m"] = "HEAD" if request.head else request.method
        if request.address:
            row["ip"] = request.address
        if request.id:
            row["rq"] = request.id
        if self.bundle:
            row["tx"] = self.bundle
        if self._pen.policy:
            row["pol"] = self._pen.policy
        if self.detail:
            row["x"] = {**self.detail}
        self.reset()
        return row

    def change(self, status: int) -> Extra:
        """Return the row as a change, to be committed with what the interaction writes."""
        return self.keep(self.row(status))

    def keep(self, row: Row) -> Extra:
        """Return the row of another footprint as a change."""
        return self._pen.trail.change(row)

    def _tell(self, row: Row) -> None:
        """Say what was touched."""
        if self._entities:
            row["e"] = [*self._entities]
        elif self.target:
            row["e"] = [self.target]
        if len(self._patients) > 1:
            row["ps"] = [*self._patients]
        elif self._patients:
            row["p"] = next(iter(self._patients))
        if others := self._keepers.keys() - {row.get("f")}:
            row["cf"] = sorted(others)
        if self.resource_type:
            row["rt"] = self.resource_type

    def _name(self, row: Row, caller: Caller) -> None:
        """Say who asks, for whom, and why."""
        who = caller.principal
        row["au"] = who.audience
        if who.client_id:
            row["c"] = who.client_id
        if who.user_id:
            row["u"] = who.user_id
        if who.grant_id:
            row["g"] = who.grant_id
        if who.acting_as:
            row["w"] = who.acting_as
        if caller.facility:
            row["f"] = caller.facility
        glass = getattr(getattr(caller, "standing", None), "glass", None)
        if glass and not self._patients.keys().isdisjoint(glass):
            row["pu"] = BROKEN_GLASS
        elif purpose := self.purpose or who.purpose or PURPOSES.get(who.audience):
            row["pu"] = purpose

    def _asked(self) -> Pairs:
        """Return the parameters of the URL or form, and of the condition of a create."""
        condition = self.request.headers.get("if-none-exist", "")
        if not condition:
            return self.pairs
        return (*self.pairs, *parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True))
