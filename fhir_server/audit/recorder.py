"""Writes the trail: begins a footprint for each interaction, and sees to it that its row is stored before the answer leaves."""

from collections.abc import Callable

from fhir_server.audit.footprint import FAILED, Caller, Footprint, Pen
from fhir_server.audit.query import cleaned
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
    """

    def __init__(
        self, trail: Trail, clock: Clock, definitions: Callable[[], Definitions], key: bytes, policy: str = ""
    ) -> None:
        self._trail = trail
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
            await self._trail.add(footprint.row(status))
