"""What a write changes, as plain data, and the two ways in which its guard can fail.

Documents are those of the live collection: `_id`, `v`, `lu`, `o`, `m`, …, `r` with `Decimal`, `j` as bytes. All changes
given to one `Store.commit` or `Unit.apply` take effect together or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.model.errors import Conflict


@dataclass(frozen=True, slots=True)
class Create:
    """A resource that is not there now. `Exists` is raised if it is.

    Where `v` is above 1 (a new life after a deletion) or `m` is not POST (the client chose the id), it is also checked
    that no such version was ever there, so that two lives cannot use the same version number.
    """

    resource_type: str
    doc: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """A new version in place of a known one, which moves into the history. `Stale` is raised if it is not current.

    Attributes:
        resource_type: Type.
        doc: The new live document; `v` is `superseded_vid` + 1.
        superseded_vid: The version that must be the current one.
        superseded: The live document as `Store.current` gave it (`Live.document`).
    """

    resource_type: str
    doc: Mapping[str, Any]
    superseded_vid: int
    superseded: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of a resource: its last version and a tombstone go into the history. `Stale` as for `Update`.

    Attributes:
        resource_type: Type.
        id: Logical id.
        superseded: The live document as `Store.current` gave it.
        tombstone: History row of the deletion: `_id` (`history_id(id, vid)`), `lu`, `o`, `m`, `del: True`, and `rg`, `f`,
            `p`, `ps`, `sl` as they were; without `r` and `j`.
        mark: Token of the mark that must still be on it (`store.leaving`), empty where there need not be one.
    """

    resource_type: str
    id: str
    superseded: Mapping[str, Any]
    tombstone: Mapping[str, Any]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """Any other row that must be there if and only if the rest is (audit, outbox, claims): an insert.

    Attributes:
        collection: Its collection.
        doc: The row.
        database: Its database where that is not the record's own.
    """

    collection: str
    doc: Mapping[str, Any]
    database: str = ""


Change = Create | Update | Delete | Extra


class Stale(Conflict):
    """The version that a change supersedes is not the current one (any more)."""

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(
            f"{resource_type}/{resource_id} was changed or deleted by another request meanwhile. Read it again and repeat the change."
        )
        self.resource_type, self.id = resource_type, resource_id


class Exists(Conflict):
    """A resource that was to be created is there already."""

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(
            f"{resource_type}/{resource_id} was created by another request meanwhile. Read it, and update it with If-Match."
        )
        self.resource_type, self.id = resource_type, resource_id
