"""Chained names as expressions: `subject:Patient.name`, `_has:Observation:patient:code`, `_list` (R4 3.1.1.4.13, 3.1.1.4.14).

A name is read link by link. What stands at its end is an ordinary parameter of the type where the chain has arrived, with
its own modifiers; a chain may end in `_has`, and `_has` in a chain. A link without a type is tried on every type that its
parameter may refer to; types in which the rest of the chain cannot be read are left out, unless that is all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.model import ids
from fhir_server.model.errors import InvalidParameter, TooCostly
from fhir_server.search.escapes import nearest, plain, shown, split
from fhir_server.search.expression import Anything, Chain, Criterion, Expression, ReverseChain
from fhir_server.search.filter import FILTER
from fhir_server.search.params import Param, params
from fhir_server.search.text import TEXTS
from fhir_server.search.types.conditions import Is
from fhir_server.search.unknown import UnknownParameter
from profiles.definitions.registry import Definitions

HAS, LIST, QUERY = "_has", "_list", "_query"
CHAINS = (FILTER, HAS, LIST)
MOST_LINKS = 10
MOST_ENDS = 1000
FORM = "_has:Type:reference:parameter, such as _has:Observation:patient:code"

Read = Callable[[str, str, str, int], Expression]
"""Reads one criterion: (resource type, name, value, links that led to it) to an expression."""

End = Callable[[str, str], Expression]
"""Reads what stands behind a link: (resource type where it leads, rest of the name) to an expression."""


def is_chained(name: str) -> bool:
    """Return whether a name speaks of other resources than those that are searched."""
    return "." in name or name.partition(":")[0] in {*CHAINS, QUERY, *TEXTS}


@dataclass(slots=True)
class Chained:
    """Reads the chained names of one search.

    Attributes:
        definitions: Parameters of all types.
        read: Reads what stands at the end of a chain.
        ends: How many ends it may still read: a link without a type multiplies them.
    """

    definitions: Definitions
    read: Read
    ends: int = MOST_ENDS

    def expression(self, resource_type: str, name: str, value: str, depth: int) -> Expression:
        """Return the expression of a chained name.

        Args:
            resource_type: The type that is searched.
            name: The name, or the rest of it from here.
            value: What the end of the chain must be.
            depth: Links that led here.

        Raises:
            UnknownParameter: A link or the end is no parameter of its type.
            InvalidParameter: A link leads nowhere, the name is malformed, or the value is.
            TooCostly: Links without a type lead too many ways.
        """

        def end(target: str, rest: str) -> Expression:
            return self.read(target, rest, value, depth + 1)

        match name.partition(":")[0]:
            case "_list":
                return self._list(resource_type, name, value)
            case "_has":
                return self.backwards(resource_type, name, depth, end)
            case "_query":
                raise _refusal(
                    name, f"There is no named query '{shown(value)}', nor any other here. Leave '_query' out."
                )
        return self.forwards(resource_type, name, depth, end)

    def forwards(self, resource_type: str, name: str, depth: int, end: End) -> Expression:
        """Return the chain through the first link of a name; see `expression`.

        Args:
            resource_type: The type that is searched.
            name: The link, a point, the rest.
            depth: Links that led here.
            end: Reads the rest for a type.
        """
        self._require_few(name, depth)
        head, _, rest = name.partition(".")
        code, _, wanted = head.partition(":")
        link = self._link(resource_type, code, name)
        types = self._targets(link)
        if wanted and wanted not in types:
            raise _refusal(
                name,
                f"'{shown(code)}' of {resource_type} does not refer to '{shown(wanted)}'.{nearest(wanted, types)} "
                f"It refers to {_listed(types)}.",
            )
        found: list[tuple[str, Expression]] = []
        refused: list[InvalidParameter] = []
        for target in [wanted] if wanted else types:
            try:
                self._count()
                found.append((target, end(target, rest)))
            except InvalidParameter as error:
                refused.append(error)
        if not found:
            raise _said(name, rest, link, types, refused)
        if all(isinstance(item, Anything) for _, item in found):
            return Anything()  # The value is empty, hence no criterion (R4).
        return Chain(link, tuple(found))

    def backwards(self, resource_type: str, name: str, depth: int, end: End) -> Expression:
        """Return the reverse chain of a `_has`; see `forwards`."""
        self._require_few(name, depth)
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise _refusal(name, f"'{shown(name)}' is not complete. Write {FORM}.")
        _, source, code, rest = parts
        types = self.definitions.resource_types
        if source not in types:
            raise _refusal(
                name,
                f"'{shown(source)}' in '{shown(name)}' is not a resource type.{nearest(source, types)} Write {FORM}.",
            )
        link = self._link(source, code, name)
        if resource_type not in self._targets(link):
            raise _refusal(
                name,
                f"'{code}' of {source} does not refer to {resource_type}, but to {_listed(self._targets(link))}, so no "
                f"{resource_type} can be found by it.",
            )
        self._count()
        item = end(source, rest)
        return item if isinstance(item, Anything) else ReverseChain(link, resource_type, item)

    def _list(self, resource_type: str, name: str, value: str) -> Expression:
        """Return what the lists hold: the same as `_has:List:item:_id` (R4 3.1.1.4.15)."""
        if name != "_list":
            raise _refusal(name, f"The parameter '_list' has no modifiers. Leave ':{shown(name[6:])}' out.")
        texts = [plain(text) for text in split(value, ",") if text]
        lists = [text.removeprefix("List/") for text in texts]
        for text in lists:
            if text.startswith("$"):
                raise _refusal(
                    name,
                    f"The functional list '{shown(text)}' is not offered: this server does not know what is current. Write the id "
                    "of a List, or search by status.",
                )
            if not ids.valid(text):
                raise _refusal(name, f"'{shown(text)}' is not a valid value of '_list'. Write the id of a List.")
        known = params("List", self.definitions)
        wanted = Criterion(known["_id"], tuple(Is(text) for text in lists))
        return ReverseChain(known["item"], resource_type, wanted) if lists else Anything()

    def _require_few(self, name: str, depth: int) -> None:
        if depth >= MOST_LINKS:
            raise _refusal(name, f"A chain has more than {MOST_LINKS} links. Search in several steps.")

    def _count(self) -> None:
        self.ends -= 1
        if self.ends < 0:
            raise TooCostly(
                f"The chains of this search may go more than {MOST_ENDS} ways, because their links name no types. Name them, "
                "as in subject:Patient.name.",
                expression="http.query",
            )

    def _link(self, resource_type: str, code: str, name: str) -> Param:
        """Return the reference parameter that a chain goes through."""
        known = params(resource_type, self.definitions)
        references = [row.code for row in known.values() if row.type == "reference"]
        found = known.get(code)
        if found is None:
            raise UnknownParameter(
                f"{resource_type} has no reference parameter '{shown(code)}'.{nearest(code, references)} Chains go through "
                f"references: {', '.join(references) or 'it has none'}.",
                expression=f"http.{shown(name)}",
            )
        if found.type != "reference":
            raise _refusal(
                name,
                f"'{shown(code)}' of {resource_type} is of type {found.type} and refers to nothing. Chains go through "
                f"references: {', '.join(references) or 'it has none'}.",
            )
        return found

    def _targets(self, link: Param) -> list[str]:
        """Return the types that a reference may lead to."""
        named = [target for target in link.targets if target in self.definitions.resource_types]
        return named or sorted(self.definitions.resource_types)


def _said(name: str, rest: str, link: Param, types: list[str], refused: list[InvalidParameter]) -> InvalidParameter:
    """Return why no type could be read: the value or modifier where one has the parameter, else that none has it."""
    told = [error for error in refused if not isinstance(error, UnknownParameter)]
    if told or len(refused) == 1:
        return (told or refused)[0]
    return UnknownParameter(
        f"None of the types that '{link.code}' of {link.resource_type} may refer to ({_listed(types)}) can be searched by "
        f"'{shown(rest)}'.",
        expression=f"http.{shown(name)}",
    )


def _listed(types: list[str]) -> str:
    return ", ".join(types) if len(types) <= 10 else "any resource"


def _refusal(name: str, text: str) -> InvalidParameter:
    return InvalidParameter(text, expression=f"http.{shown(name)}")
