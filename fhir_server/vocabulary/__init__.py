"""The vocabulary of this server: code systems, value sets and concept maps from everywhere that they are kept."""

from fhir_server.vocabulary.vocabulary import Vocabulary

__all__ = ["Vocabulary"]
