"""The one family of expected failures, each with its status and issue code.

FhirError
├── BadRequest            400 invalid         malformed URL, header, JSON or parameter
├── InvalidParameter      400 invalid         a search parameter, modifier or value that is not valid
├── TooCostly             400 too-costly      a query above its cap or time limit
├── NotYet                400 transient       a search by a parameter that is still being indexed
├── Unauthenticated       401 login           no or no valid token
├── Forbidden             403 forbidden       the grant does not cover this interaction at all
├── NotFound              404 not-found       no such instance within what the caller may see
├── UnknownType           404 not-supported   not a resource type that is served
├── NotSupported          405 not-supported   the interaction is not offered here
├── NotAcceptable         406 not-supported   no representation that the Accept header allows
├── Conflict              409 conflict        a concurrent write, or a reference that forbids the deletion
├── Gone                  410 deleted         the instance was deleted
├── PreconditionFailed    412 conflict        If-Match is stale
├── MultipleMatches       412 multiple-matches  a conditional interaction matched more than one
├── TooLarge              413 too-long        body above the limit
├── UnsupportedMedia      415 not-supported   Content-Type that is not read here
├── Unprocessable         422 processing      well-formed, but refused by the rules of the resource or the bundle
├── TooMany               429 throttled       the caller has too much under way
└── Unavailable           503 transient       the database cannot be reached now; try again
"""

from collections.abc import Sequence
from typing import ClassVar

from profiles.issue import Issue


class FhirError(Exception):
    """An expected failure. `dispatch` turns it into its status and an OperationOutcome.

    Args:
        text: What is wrong and what the client can change.
        expression: FHIRPath location, or `http.<header or parameter>`.
        issues: The complete findings, where there is more than one; `text` is then only for the log.
        headers: Extra response headers.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "exception"

    def __init__(
        self,
        text: str,
        *,
        expression: str = "",
        issues: Sequence[Issue] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.issues = tuple(issues) or (Issue("error", self.code, text, expression),)
        self.headers = headers or {}


class BadRequest(FhirError):
    """A malformed URL, header, JSON body or parameter."""

    status, code = 400, "invalid"


class InvalidParameter(FhirError):
    """A search parameter, modifier or value that is not valid."""

    status, code = 400, "invalid"


class TooCostly(FhirError):
    """A query above its cap or its time limit."""

    status, code = 400, "too-costly"


class NotYet(FhirError):
    """A search by a parameter that is still being indexed."""

    status, code = 400, "transient"


class Unauthenticated(FhirError):
    """No token, or none that is valid."""

    status, code = 401, "login"


class Forbidden(FhirError):
    """The grant does not cover this interaction."""

    status, code = 403, "forbidden"


class NotFound(FhirError):
    """No such instance within what the caller may see."""

    status, code = 404, "not-found"


class UnknownType(FhirError):
    """Not a resource type that is served."""

    status, code = 404, "not-supported"


class NotSupported(FhirError):
    """The interaction is not offered here."""

    status, code = 405, "not-supported"


class NotAcceptable(FhirError):
    """No representation that the Accept header allows."""

    status, code = 406, "not-supported"


class Conflict(FhirError):
    """A concurrent write, or a reference that forbids the deletion."""

    status, code = 409, "conflict"


class Gone(FhirError):
    """The instance was deleted."""

    status, code = 410, "deleted"


class PreconditionFailed(FhirError):
    """If-Match names a version that is not the current one."""

    status, code = 412, "conflict"


class MultipleMatches(FhirError):
    """A conditional interaction matched more than one resource."""

    status, code = 412, "multiple-matches"


class TooLarge(FhirError):
    """The body is above the limit."""

    status, code = 413, "too-long"


class UnsupportedMedia(FhirError):
    """A Content-Type that is not read here."""

    status, code = 415, "not-supported"


class Unprocessable(FhirError):
    """Well-formed, but refused by the rules of the resource or the bundle."""

    status, code = 422, "processing"


class TooMany(FhirError):
    """The caller has too much under way; `Retry-After` says when to ask again."""

    status, code = 429, "throttled"


class Unavailable(FhirError):
    """The database cannot be reached now."""

    status, code = 503, "transient"
