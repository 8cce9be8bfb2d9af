"""Work that is done when the answer has been sent: letters. The person neither waits for it nor can tell how long it took."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.background import BackgroundTask
from starlette.responses import Response

from smart_auth.messages import Undelivered


def afterwards(response: Response, work: Callable[[], Awaitable[None]]) -> Response:
    """Return a response after which the work is done; what goes wrong in it is logged for the operator."""
    response.background = BackgroundTask(_done, work)
    return response


async def _done(work: Callable[[], Awaitable[None]]) -> None:
    log = structlog.get_logger("fhir_server.http.auth")
    try:
        await work()
    except Undelivered as error:
        log.error("message_failed", reason=str(error))  # noqa: TRY400 - the reason says all
    except Exception as error:
        log.exception("message_failed", error=type(error).__name__)
