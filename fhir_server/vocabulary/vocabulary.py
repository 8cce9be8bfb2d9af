"""`Vocabulary`: where operations, searches and checks find code systems, value sets and concept maps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from fhir_server.model.stored import Stored as Version
from fhir_server.repository import Repository
from fhir_server.store import Store
from fhir_server.vocabulary.closing import Closing
from fhir_server.vocabulary.defined import Defined
from fhir_server.vocabulary.given import readable
from fhir_server.vocabulary.loading import Loading
from fhir_server.vocabulary.packaged import Packaged
from fhir_server.vocabulary.released import Released
from fhir_server.vocabulary.stored import Decoded, Stored
from profiles.definitions.registry import Definitions
from profiles.packages.library import Library
from terminology.catalogue import Catalogue, Layered
from terminology.codesystem.native import Native
from terminology.collection import Collection, Providers
from terminology.complete import Complete
from terminology.mapping import Indexes

Json = dict[str, Any]

SOURCES = ("release", "package", "fhir", "known")
"""Where code systems come from that are not stored as resources: what R4 defines is of FHIR, grammars and standards are known."""


class Vocabulary:
    """The vocabulary of a process.

    What a request brings itself comes before all else, then what was loaded from releases, what packages define, what is
    stored, what R4 defines, and what is known by its grammar or from a standards body; implicit value sets are understood
    where none is stated.

    Args:
        definitions: FHIR definitions.
        store: The database, for what was loaded from releases, and the closure tables.
        library: Gives the packages that are installed now.

    Attributes:
        closing: The closure tables.
        maps: Keeps concept maps in order.
    """

    def __init__(self, definitions: Definitions, store: Store, library: Callable[[], Library]) -> None:
        self.closing = Closing(store)
        self.maps = Indexes()
        self._providers = Providers()
        self._decoded = Decoded()
        self._shared: tuple[Catalogue, ...] = (Defined(definitions, self._providers), Native())
        self._packaged = Packaged(library, self._providers)
        self._released = Released(store)
        self._store = store
        self._fresh = False

    async def refreshed(self) -> "Vocabulary":
        """Return the vocabulary for one request, which asks no more what is loaded, for it was asked now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._released.refresh()
        fresh = copy(self)
        fresh._fresh = True  # noqa: SLF001 - its own
        return fresh

    async def catalogue(self, repository: Repository, given: Iterable[Json] = ()) -> Catalogue:
        """Return what there is for a caller, for one request.

        Args:
            repository: Of the caller: of what is stored, the caller uses what the caller may see.
            given: Resources that come with the request (`tx-resource`).

        Raises:
            BadRequest: What is given cannot be read.
            Unavailable: The database cannot be reached.
        """
        brought = await readable(given)
        if not self._fresh:
            await self._released.refresh()
        stored = Stored(repository, self._decoded, self._providers)
        return Complete(Layered(Collection(brought), self._released, self._packaged, stored, *self._shared))

    async def published(self) -> Catalogue:
        """Return what anybody may know to be here: all but what is stored as resources, which have custodians.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._released.refresh()
        return Layered(self._released, self._packaged, *self._shared)

    async def sources(self) -> Mapping[str, str]:
        """Return where the code systems come from that are not stored as resources, by canonical.

        Raises:
            Unavailable: The database cannot be reached.
        """
        await self._released.refresh()
        layers: Sequence[Catalogue] = (self._released, self._packaged, *self._shared)
        found: dict[str, str] = {}
        for name, layer in zip(SOURCES, layers, strict=True):
            for head in await layer.heads():
                found.setdefault(head.canonical, name)
        return found

    def resource(self, version: Version) -> Json:
        """Return the resource of a version, which nobody changes: the same object as long as it is kept."""
        return self._decoded.of(version)

    def loading(self, repository: Repository) -> Loading:
        """Return what loads and drops code systems for a caller, who writes the resources that tell of them."""
        return Loading(self._store, lambda: repository)
