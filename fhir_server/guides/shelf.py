"""`Shelf`: the packages that are installed, in the memory of a process, and how it learns of those that others install."""

import asyncio

import structlog

from fhir_server.checks import Checks
from fhir_server.guides.stated import Stated, stated
from fhir_server.model.request import FhirRequest
from fhir_server.store import PackageRow, Store
from profiles.packages.archive import PackageError
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.packages.packed import unpack

STATEMENT = ("metadata",)
ASKING = frozenset(
    {
        *("$validate", "$snapshot", "$validate-stored"),
        *(
            "$expand",
            "$validate-code",
            "$batch-validate-code",
            "$lookup",
            "$subsumes",
            "$find-matches",
            "$translate",
            "$closure",
        ),
    }
)
"""Operations that work by the installed packages."""

log = structlog.get_logger("guides")


class Shelf:
    """The packages of now. One instance serves a process.

    Args:
        store: Where they are kept.
        checks: Made to work by them.

    Attributes:
        checks: What is found by them.
        library: The packages that are installed.
        stated: What the capability statement says of them.
        version: The number that tells of changes (`store.packages`).
    """

    def __init__(self, store: Store, checks: Checks) -> None:
        self.library = Library()
        self.version = 0
        self.stated = Stated()
        self.checks = checks
        self._packages = store.packages
        self._known: dict[str, Package] = {}
        self._turn = asyncio.Lock()

    async def refresh(self) -> bool:
        """Work by what is installed now; return whether it is something else than before. It costs one small query.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if await self._packages.version() == self.version:
            return False
        async with self._turn:
            # Asked before the rows: what changes between the two questions is read twice, and not missed.
            version = await self._packages.version()
            if version == self.version:
                return False
            rows = [row for row in await self._packages.rows() if row.state == "installed"]
            read = {row.digest: self._known.get(row.digest) or await self._read(row) for row in rows}
            self._known = {digest: package for digest, package in read.items() if package is not None}
            self.library = Library(self._known.values())
            self.checks.adopt(self.library)
            self.stated = stated(self.library)
            self.version = version
        log.info("guides_adopted", packages=[*self.library.packages])
        return True

    def matters_to(self, request: FhirRequest) -> bool:
        """Return whether the answer to a request depends on what is installed, so that only the newest will do."""
        return request.path == STATEMENT or (bool(request.path) and request.path[-1] in ASKING)

    async def _read(self, row: PackageRow) -> Package | None:
        """Return a package; one that is damaged is left out, so that a process can start and say so."""
        content = await self._packages.content(row)
        try:
            if content is not None:
                return unpack(content, row.sha256)
            reason = "its content is not what was stored"
        except PackageError as error:
            reason = str(error)
        log.warning("guide_unreadable", package=row.key, reason=reason, remedy="install it again")
        return None
