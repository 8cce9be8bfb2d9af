"""What the effects of writes stand on."""

from collections.abc import Mapping
from dataclasses import dataclass

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.repository.pending import Key
from fhir_server.search.reading import Reading
from fhir_server.settings import Record
from fhir_server.store import Store
from fhir_server.subscriptions import Offer
from profiles.definitions.registry import Definitions


@dataclass(frozen=True, slots=True)
class Ground:
    """What an effect may stand on.

    Attributes:
        store: The database.
        own: FHIR's own definitions.
        reading: How values are read.
        scope: What the writer may reach.
        places: FHIRPath location of each resource in its bundle, where there is one.
        root: Id of the deployment's root Organization.
        rules: Rules of the stored record.
        published: Whether what is written are definitions of guides.
        definitions: Definitions with the search parameters of now.
        offer: What can be subscribed to; `None` for nothing.
    """

    store: Store
    own: Definitions
    reading: Reading
    scope: ScopeFilter
    places: Mapping[Key, str]
    root: str
    rules: Record
    published: bool = False
    definitions: Definitions | None = None
    offer: Offer | None = None
