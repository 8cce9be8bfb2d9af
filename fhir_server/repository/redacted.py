"""The one place where what patients are not shown is left out of what is given back, and put back where they write (`access.redaction`)."""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from fhir_server.access import redaction
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model.stored import Hit, Stored
from fhir_server.repository.pages import SearchPage
from fhir_server.repository.past import HistoryPage

One = TypeVar("One", Hit, Stored)


def applies(scope: ScopeFilter) -> bool:
    """Return whether there is anything that the caller is not shown; whose guesses then must not be told from what is there."""
    return redaction.applies(scope)


def one(scope: ScopeFilter, found: One) -> One:
    """Return a resource as the caller is shown it."""
    text = redaction.body(scope, found.resource_type, found.body)
    return found if text is found.body else replace(found, body=text)


def restored(scope: ScopeFilter, current: Stored, written: dict[str, Any]) -> dict[str, Any]:
    """Return what the caller writes in place of the current version with what was left out of that; itself where nothing was."""
    return redaction.restored(scope, current.resource_type, current.body, written)


def several(scope: ScopeFilter, found: Sequence[One]) -> list[One]:
    """Return resources as the caller is shown them."""
    return [one(scope, each) for each in found]


def page(scope: ScopeFilter, found: SearchPage) -> SearchPage:
    """Return a page of a search as the caller is shown it."""
    if not redaction.applies(scope):
        return found
    return replace(found, matches=several(scope, found.matches), included=several(scope, found.included))


def history(scope: ScopeFilter, found: HistoryPage) -> HistoryPage:
    """Return a page of history as the caller is shown it."""
    if not redaction.applies(scope):
        return found
    return HistoryPage(several(scope, found.versions), found.total, found.horizon, found.next)
