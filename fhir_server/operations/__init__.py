"""The operations (R4 3.2.0): one module each, which states it as `OPERATION`. Routes, capability statement and OpenAPI follow.

An operation is described by an OperationDefinition: one of FHIR's, or one of its own that stands in the same file. Levels,
parameters and whether it changes anything come from there.
"""

import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from fhir_server.access.scope_filter import Letter
from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from profiles.definitions.model import OperationDefinition

OWN = "urn:aquifer:operation:"
"""Canonical URLs of the operations that are ours begin with it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        definition: What it is called, where it applies and what it takes.
        handler: What answers it; `operations.parameters` reads its parameters.
        letters: SMART scope letters that it needs, one for each of its methods; empty where it looks for itself who may.
        methods: HTTP methods. What changes nothing can also be asked for with GET.
        summary: One line.
        whole: Whether it works on everything there is of its type or of the record, so that whoever may reach only some of
            it may not ask for it.
        success: Status of each successful answer, with what it says.
        refusals: Statuses it refuses with, beside those of all operations.
        media: Media types of answers that are no FHIR resource, by status; empty for one without a body.
    """

    definition: OperationDefinition
    handler: Callable[[Context], Awaitable[FhirResponse]]
    letters: tuple[Letter | Literal[""], ...]
    methods: tuple[Literal["GET", "POST", "DELETE"], ...]
    summary: str
    success: tuple[tuple[int, str], ...]
    whole: bool = False
    refusals: tuple[int, ...] = ()
    media: tuple[tuple[int, str], ...] = ()


def discovered() -> tuple[Operation, ...]:
    """Return the operations of the modules of this folder, in the order of their codes.

    Raises:
        ValueError: Two operations have the same code at the same place.
    """
    modules = (import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found: list[Operation] = [module.OPERATION for module in modules if hasattr(module, "OPERATION")]
    taken: set[tuple[str, str]] = set()
    for operation in found:
        for place in places(operation):
            if (operation.definition.code, place) in taken:
                raise ValueError(f"two operations are called ${operation.definition.code} at {place}")
            taken.add((operation.definition.code, place))
    return tuple(sorted(found, key=lambda one: one.definition.code))


def places(operation: Operation) -> list[str]:
    """Return the levels that an operation applies at: `system`, and `Patient` or `Patient/{id}`; `Resource` is any type."""
    definition = operation.definition
    found = ["system"] if definition.system else []
    found += list(definition.resource) if definition.type else []
    return found + ([f"{name}/{{id}}" for name in definition.resource] if definition.instance else [])
