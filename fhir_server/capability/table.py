"""What is offered: a row for each interaction and operation. Router, CapabilityStatement, OpenAPI and docs tests derive from it."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fhir_server.access.scope_filter import Letter
from fhir_server.context import Context
from fhir_server.interactions import batch, capabilities, create, delete, history, patch, read, search, update, vread
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, discovered

Level = Literal["system", "type", "instance"]
Handler = Callable[[Context], Awaitable[FhirResponse]]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One row.

    Attributes:
        code: Code of the interaction in the specification (restful-interaction), conditional forms under their base code.
        level: Where it applies.
        method: HTTP method.
        shape: Path segments below the base; `{type}`, `{id}`, `{vid}` and `{member}` (a type
            or `*`) stand for values.
        letter: SMART scope letter that it needs, empty where the parts are checked one by one.
        handler: What answers it.
        conditional: Whether it is a conditional form of another row.
        compartment: Whether it searches the compartment of an instance.
        operation: The operation, where the code is `operation`.
        public: Whether anybody may ask, without an access token.
    """

    code: str
    level: Level
    method: str
    shape: tuple[str, ...]
    letter: Letter | Literal[""]
    handler: Handler
    conditional: bool = False
    compartment: bool = False
    operation: Operation | None = None
    public: bool = False


TYPE, INSTANCE = ("{type}",), ("{type}", "{id}")
MEMBER = (*INSTANCE, "{member}")
HISTORY, VERSION = (*INSTANCE, "_history"), (*INSTANCE, "_history", "{vid}")

TABLE: tuple[Interaction, ...] = (
    Interaction("capabilities", "system", "GET", ("metadata",), "", capabilities.capabilities, public=True),
    Interaction("batch", "system", "POST", (), "", batch.bundle),
    Interaction("transaction", "system", "POST", (), "", batch.bundle),
    Interaction("history-system", "system", "GET", ("_history",), "s", history.system),
    Interaction("search-system", "system", "GET", (), "", search.of_system),
    Interaction("search-system", "system", "POST", ("_search",), "", search.of_system),
    Interaction("search-type", "type", "GET", TYPE, "s", search.of_type),
    Interaction("search-type", "type", "POST", (*TYPE, "_search"), "s", search.of_type),
    Interaction("search-type", "instance", "GET", MEMBER, "", search.of_compartment, compartment=True),
    Interaction("search-type", "instance", "POST", (*MEMBER, "_search"), "", search.of_compartment, compartment=True),
    Interaction("search-type", "instance", "POST", (*INSTANCE, "_search"), "", search.of_compartment, compartment=True),
    Interaction("create", "type", "POST", TYPE, "c", create.create),
    Interaction("update", "type", "PUT", TYPE, "u", update.conditional_update, conditional=True),
    Interaction("patch", "type", "PATCH", TYPE, "u", patch.conditional_patch, conditional=True),
    Interaction("delete", "type", "DELETE", TYPE, "d", delete.conditional_delete, conditional=True),
    Interaction("history-type", "type", "GET", (*TYPE, "_history"), "s", history.of_type),
    Interaction("read", "instance", "GET", INSTANCE, "r", read.read),
    Interaction("vread", "instance", "GET", VERSION, "r", vread.vread),
    Interaction("update", "instance", "PUT", INSTANCE, "u", update.update),
    Interaction("patch", "instance", "PATCH", INSTANCE, "u", patch.patch),
    Interaction("delete", "instance", "DELETE", INSTANCE, "d", delete.delete),
    Interaction("history-instance", "instance", "GET", HISTORY, "r", history.of_instance),
)


def _rows(operation: Operation) -> Iterator[Interaction]:
    """Yield the rows of an operation: one for each method and each place where it applies."""
    definition = operation.definition
    levels: list[tuple[Level, tuple[str, ...]]] = [("system", ())] if definition.system else []
    for name in definition.resource:
        segment = "{type}" if name in {"Resource", "DomainResource"} else name
        if definition.type:
            levels.append(("type", (segment,)))
        if definition.instance:
            levels.append(("instance", (segment, "{id}")))
    for level, place in levels:
        for method, letter in zip(operation.methods, operation.letters, strict=True):
            shape = (*place, f"${definition.code}")
            yield Interaction("operation", level, method, shape, letter, operation.handler, operation=operation)


OPERATIONS: tuple[Interaction, ...] = tuple(row for operation in discovered() for row in _rows(operation))
OFFERED: tuple[Interaction, ...] = (*TABLE, *OPERATIONS)
