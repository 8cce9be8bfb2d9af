"""Whether the process lives and whether it can serve, for load balancers and orchestrators."""

import asyncio

from fhir_server.http.edge import Service
from fhir_server.model.errors import FhirError

PATIENCE_SECONDS = 3.0


async def readiness(service: Service | None) -> tuple[int, dict[str, str]]:
    """Return (status, body): 200 when requests can be served, 503 with the reason when not."""
    if service is None:
        return 503, {"status": "starting"}
    try:
        await asyncio.wait_for(service.ready(), PATIENCE_SECONDS)
    except TimeoutError:
        return 503, {"status": "unavailable", "reason": f"the database did not answer within {PATIENCE_SECONDS:.0f} s"}
    except FhirError as error:
        return 503, {"status": "unavailable", "reason": str(error)}
    if service.spooled:
        return 200, {"status": "ready", "trail": f"fails; {service.spooled} rows wait on disk"}
    return 200, {"status": "ready"}
