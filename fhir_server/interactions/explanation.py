"""`_explain`: what a search did, as an OperationOutcome for those who make searches fast."""

from typing import Any

from fhir_server.model import json
from fhir_server.model.outcome import outcome
from fhir_server.model.query import Examined
from fhir_server.repository import Trace
from profiles.issue import Issue


def explanation(trace: Trace, parsing: float) -> dict[str, Any]:
    """Return an OperationOutcome: one issue for each query for the matches, and one for the time of each stage.

    The text is for people, `diagnostics` holds the same as JSON.

    Args:
        trace: What was done; without what the database says of its queries inside of a transaction.
        parsing: Seconds that it took to read the request.
    """
    issues = [_query(each) for each in trace.examined]
    if trace.queries and not trace.examined:
        issues.append(_said("Inside of a transaction the database does not tell what it did.", None))
    seconds = {"parse": parsing, **trace.seconds}
    stages = {name: round(each * 1000, 3) for name, each in seconds.items()}
    text = ", ".join(f"{name} {milliseconds:.1f} ms" for name, milliseconds in stages.items())
    return outcome([*issues, _said(f"Time of the stages: {text}.", {"milliseconds": stages})])


def _query(done: Examined) -> Issue:
    text = (
        f"{done.resource_type}: index {done.index}; {done.keys} keys and {done.documents} documents examined for "
        f"{done.returned} found, in {done.milliseconds} ms."
    )
    return _said(
        text,
        {
            "type": done.resource_type,
            "index": done.index,
            "keysExamined": done.keys,
            "documentsExamined": done.documents,
            "returned": done.returned,
            "milliseconds": done.milliseconds,
        },
    )


def _said(text: str, details: Any) -> Issue:
    diagnostics = json.encode(details).decode() if details else ""
    return Issue("information", "informational", text, diagnostics=diagnostics)
