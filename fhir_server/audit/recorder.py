"""Writes the trail: begins a footprint for each interaction, and sees to it that its row is stored before the answer leaves."""

from collections.abc import Callable

from fhir_server.audit.footprint import FAILED, Caller, Footprint, Pen
from fhir_server.audit.query import cleaned
from fhir_server.audit.spool import Spool
from fhir_server.model.request import FhirRequest
from fhir_server.store import Clock, Trail
from profiles.definitions.registry import Definitions


class Recorder:
    """The pen of one process.

    Args:
        trail: Where rows are kept.
        clock: The database's time.
        definitions: FHIR definitions of now.
        key: The deployment's own secret, for the hashes in queries.
        policy: Hash of the effective policy.
        spool: What keeps rows of reads that the trail cannot take; `None` to refuse these reads.
    """

    def __init__(  # noqa: PLR0917 - what rows are made of
        self,
        trail: Trail,
        clock: Clock,
        definitions: Callable[[], Definitions],
        key: bytes,
        policy: str = "",
        spool: Spool | None = None,
    ) -> None:
        self._trail = trail
        self._spool = spool
        self._pen = Pen(trail, clock.now, lambda pairs: cleaned(pairs, definitions(), key), policy)

    def begin(self, request: FhirRequest, caller: Caller | None, bundle: str = "") -> Footprint:
        """Return the footprint of an interaction that begins.

        Args:
            request: What is asked.
            caller: Who asks; `None` for somebody who was not let in.
            bundle: The bundle that it is an entry of.
        """
        return Footprint(request, caller, self._pen, bundle)

    async def settle(self, footprint: Footprint, status: int) -> None:
        """Store the row of an interaction that ends, unless one was stored with its write.

        Raises:
            Unavailable: It cannot be stored, and without it nobody may have the answer.
        """
        if not footprint.is_written or status >= FAILED:
            changes = footprint.changes and status < FAILED
            keeper = self._trail if changes or self._spool is None else self._spool
            await keeper.add(footprint.row(status))
