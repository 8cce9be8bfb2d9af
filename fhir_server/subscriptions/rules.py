"""When something concerns a Subscription: its topic and criteria, compiled, and evaluated on the version before and the one now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.model.errors import InvalidParameter, Unprocessable
from fhir_server.search.expression import (
    And,
    Anything,
    Chain,
    Concepts,
    Contains,
    Expression,
    Hierarchy,
    InText,
    Not,
    Or,
    ReverseChain,
    all_of,
)
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.reading import Reading
from fhir_server.search.results import RESULTS
from fhir_server.settings import Search
from fhir_server.subscriptions.asked import TYPE, Asked, Criteria
from fhir_server.subscriptions.topics import ANY_TYPE, Topic, Trigger
from profiles.definitions.registry import Definitions

PLAIN = frozenset({"create", "update"})
"""Changes that a Subscription without a topic hears of (R4)."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an event comes about.

    Attributes:
        resource_type: Type of the resource that changes.
        trigger: What its topic says.
        previous: What the version before fulfils.
        current: What the new version fulfils.
        filters: What the Subscription says besides, of the new version or, where it was deleted, of the last one.
    """

    resource_type: str
    trigger: Trigger
    previous: Expression
    current: Expression
    filters: Expression

    @property
    def looks_back(self) -> bool:
        """Whether it asks for the version before."""
        return not isinstance(self.previous, Anything)

    def applies(self, before: Document | None, now: Document | None) -> bool:
        """Return whether a change makes an event.

        Args:
            before: The version before as a stored document; `None` where there was none.
            now: The new one; `None` where the resource was deleted.
        """
        kind = "delete" if now is None else "update" if before else "create"
        if kind not in self.trigger.interactions:
            return False
        shown = now if now is not None else before
        if shown is None or not matches(self.filters, shown):
            return False
        asked = []
        if not isinstance(self.previous, Anything):
            asked.append(self.trigger.when_created if before is None else matches(self.previous, before))
        if not isinstance(self.current, Anything):
            asked.append(self.trigger.when_deleted if now is None else matches(self.current, now))
        return (all(asked) if self.trigger.both else any(asked)) if asked else True


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes rules of what Subscriptions ask for.

    Attributes:
        topics: Those that are offered, by URL.
        definitions: Search parameters of now.
        search: How queries are read.
        reading: How values are read.
    """

    topics: Mapping[str, Topic]
    definitions: Definitions
    search: Search
    reading: Reading

    def rules(self, asked: Asked) -> tuple[Rule, ...]:
        """Return what a Subscription asks for as rules, at least one.

        Raises:
            Unprocessable: It asks for what cannot be told of.
        """
        if not asked.is_topical:
            (one,) = asked.criteria
            self._refuse_unknown(one.resource_type, "criteria")
            trigger = Trigger(one.resource_type, PLAIN)
            return (Rule(one.resource_type, trigger, Anything(), Anything(), self._expression(one, "criteria")),)
        topic = self.topics.get(asked.topic)
        if topic is None:
            raise Unprocessable(
                f"The topic {asked.topic[:120]} is not offered here. The CapabilityStatement lists those that are, at "
                "rest.resource of Subscription.",
                expression=f"{TYPE}.criteria",
            )
        filters = self._filters(asked, topic)
        if topic.is_open and not filters:
            raise Unprocessable(
                f"The topic {topic.url} is about all types of resources. Say in filter criteria which of them are meant, such as "
                "'Observation?' or 'Observation?code=1234-5'.",
                expression=f"{TYPE}.criteria.extension",
            )
        found: list[Rule] = []
        for trigger in topic.triggers:
            kinds = [*filters] if trigger.resource_type == ANY_TYPE else [trigger.resource_type]
            found += [self._rule(kind, trigger, filters.get(kind, ())) for kind in kinds]
        return tuple(found)

    def _filters(self, asked: Asked, topic: Topic) -> dict[str, list[Criteria]]:
        found: dict[str, list[Criteria]] = {}
        for one in asked.criteria:
            self._refuse_unknown(one.resource_type, "criteria.extension")
            triggers = topic.of(one.resource_type)
            if not triggers:
                known = ", ".join(sorted({trigger.resource_type for trigger in topic.triggers}))
                raise Unprocessable(
                    f"The topic {topic.url} has no events of {one.resource_type}. It has those of {known}.",
                    expression=f"{TYPE}.criteria.extension",
                )
            names = {name.partition(":")[0] for name, _ in parse_qsl(one.query, keep_blank_values=True)}
            for trigger in triggers:
                if trigger.filters is not None and (unknown := sorted(names - trigger.filters)):
                    allowed = ", ".join(sorted(trigger.filters))
                    raise Unprocessable(
                        f"Events of the topic {topic.url} cannot be filtered by '{unknown[0][:60]}', but by {allowed}.",
                        expression=f"{TYPE}.criteria.extension",
                    )
            found.setdefault(one.resource_type, []).append(one)
        return found

    def _rule(self, kind: str, trigger: Trigger, filters: list[Criteria] | tuple[()]) -> Rule:
        return Rule(
            kind,
            trigger,
            self._expression(Criteria(kind, trigger.previous), "criteria"),
            self._expression(Criteria(kind, trigger.current), "criteria"),
            all_of(self._expression(one, "criteria.extension") for one in filters),
        )

    def _refuse_unknown(self, resource_type: str, place: str) -> None:
        if resource_type not in self.definitions.resource_types:
            raise Unprocessable(
                f"'{resource_type[:60]}' in the criteria is not a resource type of FHIR R4.",
                expression=f"{TYPE}.{place}",
            )

    def _expression(self, criteria: Criteria, place: str) -> Expression:
        """Return the expression of a query that can be evaluated on one version by itself."""
        pairs = tuple(parse_qsl(criteria.query, keep_blank_values=True))
        for name, _ in pairs:
            if name.partition(":")[0] in RESULTS:
                raise Unprocessable(
                    f"'{name[:60]}' says what a page of results looks like; criteria only say what is meant.",
                    expression=f"{TYPE}.{place}",
                )
        try:
            found = parse(
                criteria.resource_type, pairs, self.definitions, self.search, strict=True, reading=self.reading
            ).expression
        except InvalidParameter as error:
            raise Unprocessable(str(error), expression=f"{TYPE}.{place}") from None
        if any(
            isinstance(node, Chain | ReverseChain | Hierarchy | Concepts | InText | Contains) for node in _nodes(found)
        ):
            raise Unprocessable(
                f"The criteria '{criteria.query[:120]}' speak of other resources, of value sets or of words. Events are told by what the "
                "changed resource itself says: use its own search parameters, without chains, _has, :in, :below and _text.",
                expression=f"{TYPE}.{place}",
            )
        return found


def _nodes(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, And | Or):
        for item in expression.items:
            yield from _nodes(item)
    elif isinstance(expression, Not):
        yield from _nodes(expression.item)
