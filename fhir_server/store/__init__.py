"""The record in MongoDB: the only room that speaks the driver.

`Store` is the door. What it takes is plain data: changes (`Create`, `Update`, `Delete`, `Extra`), compiled filters
(`Where`, `Query` of `fhir_server.model.query`), and what it gives back is `Stored` or, for writers, `Live`.
"""

from fhir_server.store.changes import Change, Create, Delete, Exists, Extra, Stale, Update
from fhir_server.store.clock import Clock, Stamp
from fhir_server.store.concepts import Concepts
from fhir_server.store.documents import Live, access, history_id
from fhir_server.store.glass import Broken
from fhir_server.store.history import Position
from fhir_server.store.leaving import STAYING, UNMARKED, Mark
from fhir_server.store.loading import Loaded, Progress
from fhir_server.store.moving import Stretch
from fhir_server.store.packages import PackageRow, Packages, Served
from fhir_server.store.parameters import Register
from fhir_server.store.patient_links import Confirmed
from fhir_server.store.reindexing import RESTRICTING, Indexed, Rewrite, same
from fhir_server.store.relations import EVERYBODY, Objection, Tie
from fhir_server.store.scanning import Changed, Portion, Scan, Window
from fhir_server.store.store import Store
from fhir_server.store.subscriptions import Event, Moved, Place, kept_until
from fhir_server.store.systems import SystemRow
from fhir_server.store.trail import Trail
from fhir_server.store.unit_of_work import Unit

__all__ = [
    "EVERYBODY",
    "RESTRICTING",
    "STAYING",
    "UNMARKED",
    "Broken",
    "Change",
    "Changed",
    "Clock",
    "Concepts",
    "Confirmed",
    "Create",
    "Delete",
    "Event",
    "Exists",
    "Extra",
    "Indexed",
    "Live",
    "Loaded",
    "Mark",
    "Moved",
    "Objection",
    "PackageRow",
    "Packages",
    "Place",
    "Portion",
    "Position",
    "Progress",
    "Register",
    "Rewrite",
    "Scan",
    "Served",
    "Stale",
    "Stamp",
    "Store",
    "Stretch",
    "SystemRow",
    "Tie",
    "Trail",
    "Unit",
    "Update",
    "Window",
    "access",
    "history_id",
    "kept_until",
    "same",
]
