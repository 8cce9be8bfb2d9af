"""From who asks to what that one reaches now: the scopes of a principal compiled with its standing and the definitions of now."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from fhir_server.access.granted import Granted
from fhir_server.access.principal import Principal
from fhir_server.access.standings import Standings
from fhir_server.settings import Settings
from profiles.definitions.registry import Definitions
from smart_auth.store import AuthStore


class Grants:
    """Compiles what principals reach.

    Args:
        standings: Finds what the house has to say about somebody.
        definitions: FHIR definitions of now.
        settings: How the criteria of scopes are read, and what patients see of what is not final.
        records: Where people and clients are kept, and the number that every change of a standing raises.
        clock: The time.

    Attributes:
        standings: As given.
        definitions: As given.
        records: As given.
    """

    def __init__(
        self,
        standings: Standings,
        definitions: Callable[[], Definitions],
        settings: Settings,
        records: AuthStore,
        clock: Callable[[], datetime],
    ) -> None:
        self.standings = standings
        self.definitions = definitions
        self.records = records
        self._search = settings.search
        self._gates = settings.access.gates
        self._epoch = records.epoch
        self._clock = clock

    async def of(self, principal: Principal, epoch: int | None = None) -> Granted:
        """Return what a principal reaches.

        Args:
            principal: Who.
            epoch: The epoch of authorization as this request has read it; asked for where it has not.

        Raises:
            Unavailable: The database cannot be reached.
        """
        known = await self._epoch() if epoch is None else epoch
        standing = await self.standings.find(principal, known, self._clock())
        return Granted(principal, self.definitions(), self._search, standing, self._gates)

    async def facility(self, acting_as: str) -> str:
        """Return the facility that somebody works for by a PractitionerRole now, empty for none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self.standings.facility(acting_as, await self._epoch(), self._clock())

    async def renewed(self, granted: Granted) -> Granted | None:
        """Return what was compiled in this epoch as it is now, `None` where it has to be compiled anew.

        Relationships come and go with visits and appointments, which raise no epoch: they are asked for at each request.

        Raises:
            Unavailable: The database cannot be reached.
        """
        standing, now = granted.standing, self._clock()
        over = standing.until is not None and standing.until <= now
        if over or granted.definitions is not self.definitions() or not granted.is_current(datetime.now(UTC)):
            return None
        if standing.where is None:
            return granted
        patients = await self.standings.patients(granted.principal, standing.where, now)
        if patients == standing.patients:
            return granted
        return Granted(
            granted.principal, granted.definitions, self._search, replace(standing, patients=patients), self._gates
        )
