"""What is done with a record when a server opens it: the root Organization is made, and settings that lead nowhere are named."""

import structlog

from fhir_server.model.errors import NotFound
from fhir_server.repository.door import Repository

ROOT = "root"
"""Logical id of the deployment's root Organization."""

log = structlog.get_logger("main")


async def found(repository: Repository) -> None:
    """Create the root Organization at the first start; it keeps what no facility keeps (docs/custodians.md)."""
    try:
        await repository.read("Organization", ROOT)
    except NotFound:
        organization = {"resourceType": "Organization", "id": ROOT, "active": True, "name": "Root of this deployment"}
        await repository.update("Organization", ROOT, organization)
        log.info("root_organization_created", id=ROOT)


async def warn(repository: Repository) -> None:
    """Log what in the settings of validation leads nowhere: where it is enforced, every write is refused for it."""
    if repository.validation.required or repository.validation.facilities:
        for text in repository.conformance.unmet(await repository.house.now()):
            log.warning("validation_rule_unmet", reason=text)
