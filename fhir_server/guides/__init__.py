"""Implementation guides: which are installed, how they come and go, and that every process works by them."""

from fhir_server.guides.adding import Parameter
from fhir_server.guides.installation import Installation, Installed
from fhir_server.guides.shelf import Shelf
from fhir_server.guides.stated import Stated

__all__ = ["Installation", "Installed", "Parameter", "Shelf", "Stated"]
