"""The interactions that are offered: one row each. Router, CapabilityStatement, OpenAPI and docs tests derive from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fhir_server.access.scope_filter import Letter
from fhir_server.context import Context
from fhir_server.interactions import batch, capabilities, create, delete, history, patch, read, search, update, vread
from fhir_server.model.request import FhirResponse

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
    """

    code: str
    level: Level
    method: str
    shape: tuple[str, ...]
    letter: Letter | Literal[""]
    handler: Handler
    conditional: bool = False
    compartment: bool = False


TYPE, INSTANCE = ("{type}",), ("{type}", "{id}")
MEMBER = (*INSTANCE, "{member}")
HISTORY, VERSION = (*INSTANCE, "_history"), (*INSTANCE, "_history", "{vid}")

TABLE: tuple[Interaction, ...] = (
    Interaction("capabilities", "system", "GET", ("metadata",), "", capabilities.capabilities),
    Interaction("batch", "system", "POST", (), "", batch.bundle),
    Interaction("transaction", "system", "POST", (), "", batch.bundle),
    Interaction("history-system", "system", "GET", ("_history",), "r", history.system),
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
    Interaction("history-type", "type", "GET", (*TYPE, "_history"), "r", history.of_type),
    Interaction("read", "instance", "GET", INSTANCE, "r", read.read),
    Interaction("vread", "instance", "GET", VERSION, "r", vread.vread),
    Interaction("update", "instance", "PUT", INSTANCE, "u", update.update),
    Interaction("patch", "instance", "PATCH", INSTANCE, "u", patch.patch),
    Interaction("delete", "instance", "DELETE", INSTANCE, "d", delete.delete),
    Interaction("history-instance", "instance", "GET", HISTORY, "r", history.of_instance),
)
