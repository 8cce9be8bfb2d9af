"""The job that indexes stored resources again: what it is asked to do, and which added parameters it makes complete."""

from collections.abc import Collection, Iterable
from typing import Any

from fhir_server.search.edition import Added

KIND = "reindex"


def payload(types: Iterable[str], parameters: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a job is to do.

    Args:
        types: Resource types to go through, none for all.
        parameters: Ids of the added search parameters that it is there for: once they are active there is nothing to do. None:
            it is to be done in any case.
    """
    return {"types": sorted(types), "parameters": list(parameters)}


def key(types: Iterable[str]) -> str:
    """Return the key of a job that is to be done in any case: of those for the same types one is enough."""
    return f"{KIND}/{','.join(sorted(types)) or 'all'}"


def completes(added: Added, types: Collection[str], version: int) -> bool:
    """Return whether a parameter is complete when resources were gone through.

    Args:
        added: The parameter.
        types: The types that were gone through, none for all.
        version: Of the register that every write kept to before that began.
    """
    covered = not types or set(types).issuperset(added.parameter.base)
    return added.state == "building" and added.since <= version and covered
