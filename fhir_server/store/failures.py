"""What the driver raises, as members of our own family where a caller or operator can do something about it."""

from collections.abc import Mapping
from typing import Any

import structlog
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import (
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from fhir_server.model.errors import Conflict, TooCostly, TooLarge, Unavailable

TRANSIENT = "TransientTransactionError"
UNKNOWN_COMMIT = "UnknownTransactionCommitResult"
DUPLICATE = 11000
WRITE_CONFLICT = 112

_DISK_FULL = 14031
_INTERRUPTED = 11601  # stopped by an operator, or at the time limit amid JavaScript
_CHANGING = frozenset({6, 7, 89, 91, 134, 189, 9001, 10107, 11600, 11602, 13435, 13436})
"""What a member says of one operation among several when it is not, or no longer, the primary, or ends (retryable errors)."""


def expected(error: Exception) -> Exception:
    """Return the `FhirError` for a failure of the database, or the error itself where it is a fault of ours."""
    if not isinstance(error, PyMongoError):
        return error
    if error.has_error_label(UNKNOWN_COMMIT) or isinstance(error, WriteConcernError):
        return unconfirmed()
    if error.has_error_label(TRANSIENT) and not isinstance(error, ConnectionFailure):
        return Conflict("Another request is writing the same resources. Send the request again.")
    if isinstance(error, ConnectionFailure | InvalidOperation) or getattr(error, "code", None) in _CHANGING:
        return Unavailable("The database cannot be reached now. Send the request again in a few seconds.")
    if isinstance(error, ExecutionTimeout) or (isinstance(error, OperationFailure) and error.code == _INTERRUPTED):
        return TooCostly("The database gave up the query at its time limit. Narrow the search, for example by patient.")
    if isinstance(error, DocumentTooLarge):
        return too_large()
    if isinstance(error, OperationFailure) and error.code == _DISK_FULL:
        return Unavailable("The database has no space left. Tell its operator; nothing was stored.")
    return error


def unconfirmed() -> Unavailable:
    """Return the failure of a write of which nobody knows whether it is stored."""
    return Unavailable(
        "The database did not confirm the write in time. "
        "It is not known whether this write was stored; read the resource before you repeat it."
    )


def undone(error: PyMongoError) -> bool:
    """Return whether what a commit raised says that nothing is committed.

    Other refusals say nothing: a member that has just started may answer what has no label, while the first attempt, which
    the driver repeats by itself, had arrived.
    """
    if error.has_error_label(UNKNOWN_COMMIT) or isinstance(error, ConnectionFailure | WriteConcernError):
        return False
    return error.has_error_label(TRANSIENT) or getattr(error, "code", None) == _DISK_FULL


def of_trail(error: PyMongoError) -> Unavailable:
    """Return the failure of whoever needed a row in the audit trail, whatever was the reason; the log says it."""
    code = getattr(error, "code", None)
    structlog.get_logger("fhir_server.store").error("trail_failed", error=type(error).__name__, code=code)
    return Unavailable(
        "The audit trail cannot be written now, and without it nothing is shown or changed. Send the request again later; "
        "the operator of this server finds the reason in its log."
    )


def outward(error: Exception, session: AsyncClientSession | None) -> Exception:
    """Return what to raise: in a transaction the error itself, for whoever runs that decides whether to begin again."""
    return error if session else expected(error)


def refused(row: Mapping[str, Any]) -> Exception:
    """Return the error for one document of many, from its row in the server's answer."""
    return expected(OperationFailure(row.get("errmsg", "write error"), row.get("code"), dict(row)))


def too_large() -> TooLarge:
    """Return the error for a resource that fits no document of MongoDB."""
    return TooLarge(
        "The resource is larger than 16 MB even without its long texts and attachments, which is more than the database can "
        "hold in one document. Split it, or keep attachments as Binary resources and refer to them by url."
    )
