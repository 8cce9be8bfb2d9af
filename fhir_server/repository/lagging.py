"""What is said of searches while entries of an older extraction are there: they may miss something, and never silently."""

from collections.abc import Sequence

from fhir_server.model.errors import Unavailable
from fhir_server.repository.reach import Reach
from fhir_server.search.parse import SearchRequest
from fhir_server.search.reliance import relied_on
from fhir_server.store import Store
from profiles.definitions.registry import Definitions
from profiles.issue import Issue

AGAIN_AFTER = 30
"""Seconds after which it is worth asking whether the entries are made."""

MOST_NAMED = 5


async def lagging(store: Store, definitions: Definitions, parts: Sequence[SearchRequest], reach: Reach) -> list[str]:
    """Return the types that a search rests on and of which some resources may have entries of another extraction.

    Call it before the search: what is complete then stays so.

    Raises:
        Unavailable: The database cannot be reached.
    """
    if not store.extraction.lags:
        return []
    types = relied_on(parts, definitions, lambda name: reach.where_of(name).kind == "clause")
    return await store.extraction.lagging(types.intersection(await store.types()), reach.session)


def warning(types: Sequence[str]) -> Issue:
    """Return what a searchset says that may lack something."""
    return Issue("warning", "incomplete", f"{_why(types)} So this search may miss some of them, and says no total.")


def refusal(types: Sequence[str]) -> Unavailable:
    """Return the refusal of what must not miss anything."""
    again = {"Retry-After": str(AGAIN_AFTER)}
    return Unavailable(f"{_why(types)} Until then this search could miss some of them; try again later.", headers=again)


def _why(types: Sequence[str]) -> str:
    more = f" and {len(types) - MOST_NAMED} more types" if len(types) > MOST_NAMED else ""
    return (
        f"This release indexes resources differently than the one before, and those of {', '.join(types[:MOST_NAMED])}{more} that "
        "were stored earlier are not all indexed anew yet. GET [base]/$reindex-status tells how far that is."
    )
