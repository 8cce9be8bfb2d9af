"""A failure that nobody expected, as an answer: it says that the fault is ours, and the log says where it is."""

import traceback

import structlog

from fhir_server.model import json
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirRequest, FhirResponse
from profiles.issue import Issue

TEXT = "The server failed to answer. The fault is on our side; it was logged under the X-Request-Id."


def fault(error: Exception, request: FhirRequest, entry: int | None = None) -> FhirResponse:
    """Log a failure by its type, number (of the database) and place, and return 500 without its insides.

    Neither the message nor the locals are logged: they may hold patient data.

    Args:
        error: What was raised.
        request: The request, or that of the entry, which failed.
        entry: Index of the entry where it was one of a batch.
    """
    frames = traceback.format_tb(error.__traceback__)
    where = {} if entry is None else {"entry": entry}
    code = getattr(error, "code", None)
    if isinstance(code, int):
        where["code"] = code
    structlog.get_logger("dispatch").error(
        "interaction_failed", request=request.id, error=type(error).__name__, at=frames, **where
    )
    body = json.encode(outcome([Issue("fatal", "exception", TEXT)]))
    return FhirResponse(500, {}, body, reports=True)
