"""Implementation guides: which are installed, how they come and go, and that every process works by them."""

from fhir_server.guides.shelf import Shelf

__all__ = ["Shelf"]
