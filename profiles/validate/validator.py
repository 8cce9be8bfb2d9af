"""`Validator`: the check that every write passes (R4 3.2), without profiles, terminology service or database."""

from typing import Any

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.primitives import article
from profiles.validate import resource as resources
from profiles.validate.messages import issue, shown
from profiles.validate.structure import Checks
from profiles.validate.walk import Walk


class Validator:
    """Structure, cardinality, primitives, required bindings, references, narrative and base invariants.

    One instance serves a process: types are compiled when they are first met and kept.

    Args:
        definitions: The types.
        engine: For the few invariants that are evaluated as FHIRPath; one of its own where none is given.
    """

    def __init__(self, definitions: Definitions, engine: Engine | None = None) -> None:
        self._checks = Checks(definitions, engine or Engine(definitions))

    def check(self, resource: dict[str, Any], resource_type: str | None = None, *, strict: bool = False) -> list[Issue]:
        """Return all that is wrong with a resource: errors in document order, then warnings.

        Args:
            resource: Decoded JSON, its numbers `int` or `Decimal`.
            resource_type: The type that the request asks for; another one is an error.
            strict: Whether what resources that HL7 itself published get wrong is an error, as HL7's validator has it. A
                write is not refused for it: there it is a warning.

        Returns:
            Findings; the resource may be stored when none of them `fails`.
        """
        if not isinstance(resource, dict):
            return [issue("not-an-object", found=article(resource))]
        issues: list[Issue] = []
        walk = Walk(resource, issues, [], strict=strict)
        found = resource.get("resourceType")
        if resource_type is not None and type(found) is str and found != resource_type:
            walk.report("type-mismatch", None, found=shown(found), expected=resource_type)
        try:
            resources.root(resource, None, walk, self._checks)
        except RecursionError:
            return [issue("too-deep")]
        return issues + walk.warnings
