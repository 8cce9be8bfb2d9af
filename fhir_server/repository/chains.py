"""Resolves the chains of a search: other resources are asked first, and what they answer becomes criteria on ids.

It goes from the inside of a chain outwards. Each step is filtered by what the caller may see of its type, before anything is
counted or returned. A step that finds more than `search.max_chain` is never cut: either the rest of the search is selective
enough to be asked first, or the search is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.model.errors import InvalidParameter, TooCostly
from fhir_server.model.query import Distinct, Query, Where
from fhir_server.repository.reach import WhereOf
from fhir_server.search import chain, contained
from fhir_server.search.chain import Step
from fhir_server.search.codes import MOST_STORED, CodeSets, TooMany, gathered
from fhir_server.search.compile import selection
from fhir_server.search.expression import (
    And,
    Anything,
    Chain,
    Concepts,
    Criterion,
    Expression,
    Hierarchy,
    InText,
    Not,
    Nothing,
    Or,
    ReverseChain,
    all_of,
    any_of,
    none_of,
)
from fhir_server.search.hierarchy import whole
from fhir_server.search.index import version
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import token
from fhir_server.search.types.conditions import Condition, Is
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

CONTAINED = "contained"
"""The element, and the index of those that have it."""

MOST_APART = 1000
"""Resources looked at one by one, whose patient is not the one of whose compartment they are part; of more, all are read."""


class FansOut(TooCostly):
    """A step of a chain leads to more resources than may be looked at."""


@dataclass(frozen=True, slots=True)
class Chains:
    """Resolves the chains of one search.

    Attributes:
        store: The database.
        definitions: Parameters of all types.
        most: Most resources that one step may find.
        where_of: Resource type to what the caller may search of it.
        session: Of a unit of work, `None` outside of one.
        reading: How values are read, and where sets of codes come from.
        containers: Types whose contained resources are searched; empty where resources that stand alone are.
        codes: Sets of codes that the caller may use; `None` for those of `reading`.
    """

    store: Store
    definitions: Definitions
    most: int
    where_of: WhereOf
    session: Any
    reading: Reading = PLAIN
    containers: Sequence[str] = ()
    codes: CodeSets | None = None

    async def resolved(self, resource_type: str, expression: Expression) -> Expression:
        """Return the expression without nodes that speak of other resources.

        Args:
            resource_type: The type that is searched.
            expression: What is searched.

        Raises:
            TooCostly: A step finds too much, or takes too long.
        """
        if not chain.is_open(expression):
            return expression
        match expression:
            case And(items):
                return await self._all(resource_type, chain.merged(items))
            case Or(items):
                return any_of([await self.resolved(resource_type, item) for item in items])
            case Not(item):
                return none_of(await self.resolved(resource_type, item))
            case Chain():
                return await self._forward(expression)
            case ReverseChain():
                # A local id is referred to from inside of the container only.
                return Nothing() if self.containers else await self._reverse(expression)
            case Hierarchy(param, roots, below):
                return _criterion(param, [Is(text) for text in await self._tree(param, roots, below=below)])
            case Concepts():
                return await self._listed(expression)
            case InText(item):
                await self._require_words(self.containers or (resource_type,))
                return item
        return expression

    async def _listed(self, item: Concepts) -> Expression:
        codes = self.codes or self.reading.codes
        if codes is None:
            raise InvalidParameter(
                "No value sets are known here. Write the codes.", expression=f"http.{item.param.code}"
            )
        try:
            found = await gathered(codes, item.relation, item.names)
        except TooMany as refusal:
            found = await codes.among(item.relation, item.names, await self._stored(item.param, refusal))
        return token.listed(item.param, found, self.reading)

    async def _stored(self, param: Param, refusal: TooMany) -> set[tuple[str, str]]:
        """Return the codes that the record has of a parameter, whoever may see them."""
        if self.containers:
            raise refusal
        entries = await self.store.values(param.resource_type, param.field, self.session)
        if len(entries) > MOST_STORED:
            raise TooCostly(
                f"{refusal} The record itself has {len(entries):,} different codes there, of which at most {MOST_STORED:,} are looked "
                "at.",
                expression="http.query",
            )
        return token.pairs(param, entries, self.reading)

    async def _require_words(self, types: Iterable[str]) -> None:
        """Refuse to search words as long as some resource was stored without them: it would not be found."""
        without = Where("clause", {"sv": {"$lt": version(self.reading)}})
        for resource_type in types:
            if await self.store.rows(Query(resource_type, without, (), 1), self.session):
                raise TooCostly(
                    f"The words of some {resource_type} resources are not stored yet, so not all would be found. The operator "
                    "can index them with fhir-server reindex or $reindex; then ask again.",
                    expression="http.query",
                )

    async def _all(self, resource_type: str, items: Sequence[Expression]) -> Expression:
        """Resolve a conjunction; a chain that leads to too much is asked again, only for what the others leave."""
        done = [item for item in items if not chain.is_open(item)]
        late: list[tuple[Expression, FansOut]] = []
        for item in items:
            if chain.is_open(item):
                try:
                    done.append(await self.resolved(resource_type, chain.narrowed(item, done)))
                except FansOut as error:
                    late.append((item, error))
        for item, refusal in late:
            if self.containers:
                raise refusal
            found = await self._from_outside(resource_type, item, all_of(done), refusal)
            if isinstance(item, Chain) and isinstance(found, Chain):
                # What it narrows are ids of resources that stand alone.
                done.append(any_of([await self._outwards(found), await self._inwards(item)]))
            else:
                done.append(await self.resolved(resource_type, found))
        return all_of(done)

    async def _from_outside(
        self, resource_type: str, item: Expression, others: Expression, refusal: FansOut
    ) -> Expression:
        """Return a chain that asks only for what the other criteria leave; raise the refusal where they leave too much."""
        if isinstance(others, Nothing):
            return others
        if isinstance(others, Anything) or not isinstance(item, Chain | ReverseChain):
            raise refusal
        access = self.where_of(resource_type)
        if isinstance(item, ReverseChain):
            where, hint = selection(others, resource_type, access, self.definitions)
            found = await self._distinct([Distinct(resource_type, where, "_id", "", self.most + 1, hint)])
        elif "canonical" in item.param.value_types:
            raise refusal
        else:
            found = []
            for target, _ in item.targets:
                step = Step(item.param, target, others, access, self.most + 1)
                found += [f"{target}/{one}" for one in await self._led_to(step)]
        if len(found) > self.most:
            raise refusal
        return chain.from_outside(item, found, self.definitions)

    async def _forward(self, item: Chain) -> Expression:
        return any_of([await self._outwards(item), await self._inwards(item)])

    async def _inwards(self, item: Chain) -> Expression:
        """Return which resources refer to a fulfilling one that they contain (R4 3.1.1.5.6)."""
        own = item.param.resource_type
        targets = [target for target, _ in item.targets if self.where_of(target).kind != "nothing"]
        if self.containers or not targets or CONTAINED not in self.definitions.types[own].elements:
            return Nothing()
        holding = Where("clause", {"c.t": {"$in": targets}, "c": {"$exists": True}})
        if not await self.store.rows(Query(own, holding, (), 1, CONTAINED), self.session):
            return Nothing()
        inside = replace(self, containers=(own,))
        found: list[Expression] = []
        for target, inner in item.targets:
            if target in targets and contained.can_be_asked(inner):
                resolved = await inside.resolved(target, inner)
                found.append(contained.referred(item.param, target, resolved, self.definitions))
        return any_of(found)

    async def _outwards(self, item: Chain) -> Expression:
        """Return which resources refer to a fulfilling one that stands alone."""
        found: list[Condition] = []
        alone = replace(self, containers=())
        for target, inner in item.targets:
            resolved = await alone.resolved(target, inner)
            step = Step(item.param, target, resolved, self.where_of(target), self.most + 1)
            rows = await self.store.rows(chain.fulfilling(step, self.definitions), self.session)
            if len(rows) > self.most:
                raise self._fans_out(item.param, target)
            found += chain.leading(step, rows, self.definitions)
        return _criterion(item.param, found)

    async def _reverse(self, item: ReverseChain) -> Expression:
        source = item.param.resource_type
        resolved = await self.resolved(source, item.item)
        step = Step(item.param, item.target_type, resolved, self.where_of(source), self.most + 1)
        found = await self._led_to(step)
        if len(found) > self.most:
            raise self._fans_out(item.param, item.target_type)
        return chain.instances(item.target_type, found, self.definitions)

    async def _led_to(self, step: Step) -> list[str]:
        """Return the ids of what the references of some resources lead to; more than `step.most` are not of use."""
        everyone = chain.compartments(step, self.definitions)
        rows = (
            await self.store.rows(chain.apart(step, MOST_APART + 1, self.definitions), self.session) if everyone else []
        )
        if everyone is None or len(rows) > MOST_APART:
            return chain.ids(step.target, await self._distinct(chain.referred(step, self.definitions)))
        found = await self._distinct([everyone])
        doubtful = {row["p"] for row in rows if "p" in row}
        if len(found) < step.most and doubtful:
            confirmed = await self._distinct([chain.confirmed(step, doubtful, self.definitions)])
            found = [*{*found} - doubtful, *confirmed]
        return chain.ids(step.target, [*found, *chain.stated(step, rows)])

    async def _tree(self, param: Param, roots: Iterable[str], *, below: bool) -> list[str]:
        """Return the roots with all that is below or above them, as `Type/id`."""
        found = dict.fromkeys(roots)
        for resource_type, own in chain.grouped(found).items():
            link = whole(resource_type, self.definitions)
            level = own
            while link and level:
                next_level = await (self._parts(link, level) if below else self._wholes(link, level))
                # A cycle ends where it began.
                level = [one for one in next_level if f"{resource_type}/{one}" not in found]
                found |= dict.fromkeys(f"{resource_type}/{one}" for one in level)
                if len(found) > self.most:
                    raise self._fans_out(param, resource_type)
        return list(found)

    async def _parts(self, link: Param, wholes: Sequence[str]) -> list[str]:
        access = self.where_of(link.resource_type)
        query = chain.parts(link, wholes, access, self.most + 1, self.definitions)
        return [row["_id"] for row in await self.store.rows(query, self.session)]

    async def _wholes(self, link: Param, parts: Sequence[str]) -> list[str]:
        access = self.where_of(link.resource_type)
        asked = chain.wholes(link, parts, access, self.most + 1, self.definitions)
        return chain.ids(link.resource_type, await self._distinct([asked]))

    async def _distinct(self, queries: Iterable[Distinct]) -> list[str]:
        return [text for query in queries for text in await self.store.distinct(query, self.session)]

    def _fans_out(self, link: Param, target: str) -> FansOut:
        return FansOut(
            f"By '{link.code}' of {link.resource_type} this search leads to more than {self.most:,} {target} resources. Add "
            "criteria that select fewer of them, or criteria on what is searched; or raise the setting search.max_chain.",
            expression=f"http.{link.code}",
        )


def _criterion(param: Param, values: Sequence[Condition]) -> Expression:
    return Criterion(param, tuple(dict.fromkeys(values))) if values else Nothing()
