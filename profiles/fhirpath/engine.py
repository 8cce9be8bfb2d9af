"""`Engine`: compiles expressions and keeps those that were asked for last. `Compiled`: evaluates one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from profiles.definitions.registry import Definitions
from profiles.fhirpath.check import check
from profiles.fhirpath.compile import Compiler
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.functions.row import truth
from profiles.fhirpath.kept import Kept
from profiles.fhirpath.model import Model, Type
from profiles.fhirpath.parser import parse
from profiles.fhirpath.scope import Limits, Run, Scope, Services, Units
from profiles.fhirpath.shapes import Rules, Shape
from profiles.fhirpath.syntax import Expression
from profiles.fhirpath.values import Item, Items, Node, outside

KEPT = 2_000
"""Compiled expressions that an engine keeps at most: the invariants and search parameters of R4 are 1,600."""

STRICT = Rules()


class Engine:
    """Compiles expressions for one set of definitions. It may be shared by threads.

    Args:
        definitions: The types.
        units: Units of measure; without them amounts of different units cannot be compared.
        services: What expressions ask of their surroundings, unless an evaluation says otherwise.
        limits: What one evaluation may take.
        kept: How many compiled expressions are kept.
    """

    def __init__(
        self,
        definitions: Definitions,
        *,
        units: Units | None = None,
        services: Services | None = None,
        limits: Limits | None = None,
        kept: int = KEPT,
    ) -> None:
        self.model = Model(definitions)
        self.units = units
        self.services = services or Services()
        self.limits = limits or Limits()
        self._kept: Kept[Compiled] = Kept(kept)

    def compile(self, text: str, type: str | None = None, rules: Rules = STRICT) -> "Compiled":  # noqa: A002 - the word for it
        """Return an expression, ready to be evaluated.

        Args:
            text: The expression.
            type: Type that it is evaluated on: `Patient`, `Observation.component`, `Quantity`. Without it elements and
                operands are not checked.
            rules: What it may do: `Rules()`, or `shapes.SEARCH` for SearchParameter.expression.

        Raises:
            FhirPathError: It cannot be read, or makes no sense for the type.
        """
        return self._kept.get((text, type, rules), len(text), lambda: self._compile(text, type, rules))

    def node(self, value: Any, type: str | None = None, sibling: Any = None) -> Node:  # noqa: A002 - the word for it
        """Return an element that is to be evaluated on.

        Args:
            value: Its JSON value.
            type: Its type; resources tell it by themselves.
            sibling: What belongs to a primitive value, as `_birthDate` to `birthDate`.
        """
        return Node(value, _kind(self.model, value, type), sibling)

    def _compile(self, text: str, type_name: str | None, rules: Rules) -> "Compiled":
        expression = parse(text)
        try:
            shape = check(expression, self.model, type_name, rules)
            run = Compiler(self.model, rules.collections, rules.loose).run(expression)
        except FhirPathError as error:
            raise error.of(text) from None
        except RecursionError:
            raise _too_deep().of(text) from None
        return Compiled(self, (text, type_name, rules), expression, shape, run)


def compile(text: str, definitions: Definitions, type: str | None = None) -> "Compiled":  # noqa: A001, A002 - the words for it
    """Return an expression, ready to be evaluated; where there are many, make one `Engine` for all.

    Raises:
        FhirPathError: It cannot be read, or makes no sense for the type.
    """
    return Engine(definitions).compile(text, type)


class Compiled:
    """An expression that is ready to be evaluated.

    Attributes:
        text: Its text.
        expression: Its parts.
        shape: The types that its results may have.
    """

    __slots__ = ("_engine", "_rules", "_run", "_type", "expression", "shape", "text")

    def __init__(
        self, engine: Engine, key: tuple[str, str | None, Rules], expression: Expression, shape: Shape, run: Run
    ) -> None:
        self.text, self._type, self._rules = key
        self.expression = expression
        self.shape = shape
        self._engine = engine
        self._run = run

    def evaluate(self, subject: Any, *, services: Services | None = None, **environment: Any) -> list[Any]:
        """Return the results as JSON has them: elements as they stand, quantities as objects, dates as text.

        Args:
            subject: A resource, or an element of the type that the expression was compiled for; a `Node` to give its place.
            services: What the expression asks of its surroundings, in place of those of the engine.
            environment: Values of variables: `weight=…` is `%weight`; `resource` and `rootResource` where the subject is an
                element. Numbers are `int` or `Decimal`.

        Raises:
            FhirPathError: It fails on this data, or takes too much.
        """
        return [outside(item) for item in self.nodes(subject, services=services, **environment)]

    def boolean(
        self, subject: Any, *, services: Services | None = None, budget: list[int] | None = None, **environment: Any
    ) -> bool:
        """Return whether the result is true, as invariants ask: nothing is false, and a single item that is no Boolean is true.

        Args:
            subject: As of `evaluate`.
            services: As of `evaluate`.
            budget: As of `nodes`.
            environment: As of `evaluate`.

        Raises:
            FhirPathError: It fails on this data, takes too much, or gives several items.
        """
        return bool(truth(self.nodes(subject, services=services, budget=budget, **environment), "A condition"))

    def nodes(
        self,
        subject: Any,
        *,
        services: Services | None = None,
        limits: Limits | None = None,
        budget: list[int] | None = None,
        **environment: Any,
    ) -> Items:
        """Return the results as they are: elements as `Node`s that know their place, values as numbers, `Moment`s and `Amount`s.

        Args:
            subject: As of `evaluate`.
            services: As of `evaluate`.
            limits: What it may take, in place of those of the engine.
            budget: Steps that are left to several evaluations together, as the only item; those that it takes are taken off.
            environment: As of `evaluate`.

        Raises:
            FhirPathError: It fails on this data, or takes too much.
        """
        engine = self._engine
        limits = engine.limits if limits is None else limits
        if budget is not None and budget[0] < limits.steps:
            limits = replace(limits, steps=max(budget[0], 0))
        node = subject if type(subject) is Node else Node(subject, _kind(engine.model, subject, self._type))
        scope = Scope(
            engine.model,
            engine.units,
            engine.services if services is None else services,
            limits,
            _variables(engine.model, node, environment),
            [node],
        )
        scope.unread = self._rules.unread
        try:
            return self._run(scope)
        except FhirPathError as error:
            raise error.of(self.text) from None
        except RecursionError:
            raise _too_deep().of(self.text) from None
        finally:
            if budget is not None:
                budget[0] -= scope.taken


def _too_deep() -> FhirPathError:
    return FhirPathError("limit", "The expression or the data is nested too deeply. Write the expression in parts.", 0)


def _kind(model: Model, value: Any, name: str | None) -> Type:
    if isinstance(value, dict) and "resourceType" in value:
        return model.of(value)
    return (model.type(name) if name is not None else None) or model.untyped


def _variables(model: Model, node: Node, environment: Mapping[str, Any]) -> dict[str, Items]:
    this: Items = [node]
    if node.parent is None:
        found = {"context": this, "resource": this, "rootResource": this}
    else:
        resource = _resource(node)
        root = resource.parent if resource.key == "contained" and resource.parent is not None else resource
        found = {"context": this, "resource": [resource], "rootResource": [root]}
    for name, value in environment.items():
        found[name] = _items(model, value)
    return found


def _resource(node: Node) -> Node:
    while node.parent is not None and not node.type.resource:
        node = node.parent
    return node


def _items(model: Model, value: Any) -> Items:
    """Return the value of a variable as a collection."""
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [item for one in value for item in _items(model, one)]
    return [_item(model, value)]


def _item(model: Model, value: Any) -> Item:
    if isinstance(value, dict):
        return Node(value, model.of(value))
    if isinstance(value, float):
        return Decimal(repr(value))
    item: Item = value
    return item
