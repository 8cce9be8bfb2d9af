"""The only way to stored resources. Every read, search and write joins the caller's filter to what it asks the store."""

from fhir_server.repository.demand import ANY, UNCONDITIONAL, Demand, demanded, names
from fhir_server.repository.door import Repository
from fhir_server.repository.pages import SearchPage
from fhir_server.repository.past import HistoryPage, HistoryRequest
from fhir_server.repository.trace import Trace
from fhir_server.repository.written import Written

__all__ = [
    "ANY",
    "UNCONDITIONAL",
    "Demand",
    "HistoryPage",
    "HistoryRequest",
    "Repository",
    "SearchPage",
    "Trace",
    "Written",
    "demanded",
    "names",
]
