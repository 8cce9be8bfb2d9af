"""What is said of the publication status of what a value set refers to: that it is a draft, deprecated, withdrawn and the like."""

from collections.abc import Iterable

from terminology import issue
from terminology.concept import Head
from terminology.issue import TxIssue
from terminology.valueset.definition import Definition, standards_status


def of_code_system(head: Head, source: Definition) -> Iterable[TxIssue]:
    """Yield what is said of a code system that a value set refers to."""
    said = _worth_saying({head.status, head.standards_status}, source, experimental=head.experimental)
    if said:
        yield issue.STATUS[said].issue(type="CodeSystem", canonical=head.canonical)


def of_value_set(value_set: Definition, source: Definition) -> Iterable[TxIssue]:
    """Yield what is said of a value set that another one refers to, or that is asked for itself."""
    resource = value_set.resource
    stated = {str(resource.get("status") or ""), standards_status(resource)}
    said = _worth_saying(stated, source, experimental=resource.get("experimental") is True)
    if said:
        yield issue.STATUS[said].issue(type="ValueSet", canonical=value_set.canonical)


def _worth_saying(stated: set[str], source: Definition, *, experimental: bool) -> str:
    """Return the status to speak of: a draft is no news to who is a draft."""
    for status in ("deprecated", "withdrawn", "retired"):
        if status in stated:
            return status
    if experimental and source.resource.get("experimental") is not True:
        return "experimental"
    drafted = "draft" in {source.resource.get("status"), standards_status(source.resource)}
    return "draft" if "draft" in stated and not drafted else ""
