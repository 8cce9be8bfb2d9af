"""What one caller may do with instances, told before anything of them is: as filters for what is read, as refusals for what is written.

What a caller may not see is not there. So a write of it is answered as if nothing was there, as far as its id is not taken;
what can be seen but not written so is forbidden, and the answer names the scope that it would need.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from fhir_server.access import advice, contribution
from fhir_server.access.labels import uncleared
from fhir_server.access.scope_filter import Key, Letter, ScopeFilter, insufficient
from fhir_server.model import json, reference
from fhir_server.model.errors import Forbidden, NotFound
from fhir_server.model.query import ANYTHING, NOTHING, Where
from fhir_server.model.stored import Stored
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import And, Expression, Guarded, Nothing, Or, all_of, any_of
from fhir_server.search.match import matches
from fhir_server.search.parse import SearchRequest
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

GUARDED = "Binary"
NOBODY = ("Patient/-",)
"""The context that is asked for where there is none."""

ANY_TYPE = "*"
MOST_NAMED = 3


class Rights(msgspec.Struct, frozen=True):
    """The rights of one caller.

    Attributes:
        store: The database.
        scope: What the caller may reach.
        definitions: FHIR definitions.
        base: Our own service base; absolute references below it are local ones.
        session: Of a unit of work, `None` outside of one.
        created: What the caller creates in the same unit of work.
    """

    store: Store
    scope: ScopeFilter
    definitions: Definitions
    base: str
    session: Any
    created: AbstractSet[Key] = frozenset()

    def require(self, types: Iterable[str], letter: Letter) -> None:
        """Refuse what nothing of the grant speaks of, for none of the types.

        Raises:
            Forbidden: No scope gives the letter for any of them.
        """
        asked = [*types]
        advice.require(self.scope.principal, asked, letter)
        if not any(self.has(name, letter) for name in asked):
            many = len(asked) > MOST_NAMED
            wanted = [self.scope.wanted(name, letter) for name in ([ANY_TYPE] if many else asked)]
            of = "any type of resource that is asked for" if many else ", ".join(asked)
            if self.scope.principal.audience == "staff" and not any(wanted):
                raise Forbidden(
                    f"{self.scope.principal.acting_as or 'Work without a role'} does not allow this: '{letter}' of {of}. Staff do "
                    "what the codes of their PractitionerRole stand for, while it is held; sign in with another role."
                )
            raise insufficient(f"The access token has no scope for this: '{letter}' of {of}.", *wanted)

    def require_all(self, types: Iterable[str], letter: Letter) -> None:
        """Refuse what works on whole types, unless the caller may do so with every resource of them.

        Raises:
            Forbidden: Some are out of reach, or it is a change and the caller works on records only.
        """
        advice.require(self.scope.principal, (), letter)
        if letter not in "rs" and not self.scope.governs:
            raise insufficient(
                "This changes how the server works for everybody, which is for administrators and for systems.",
                self.scope.whole(letter),
            )
        for name in () if self.scope.covers(letter) else types:
            if self.scope.where(name, letter) != ANYTHING:
                raise insufficient(
                    f"This works on every {name}, and the access token does not cover '{letter}' of all of them.",
                    self.scope.whole(letter),
                )

    def has(self, resource_type: str, letter: Letter) -> bool:
        """Return whether anything of the grant gives the letter for the type."""
        return not isinstance(self.scope.expression(resource_type, letter), Nothing)

    def refuse_explaining(self, parts: Iterable[SearchRequest]) -> None:
        """Refuse to tell what a search did where some of it is not for the caller.

        Raises:
            Forbidden: Not all of a type may be searched.
        """
        for part in parts:
            if part.explain and self.scope.where(part.resource_type, "s") != ANYTHING:
                raise Forbidden(
                    f"_explain counts all {part.resource_type} resources that are looked at, also those that this grant does not "
                    "reach. Leave it out, or ask somebody whose grant is for all of them.",
                    expression="http._explain",
                )

    async def where(self, resource_type: str, letter: Letter, ids: Sequence[str]) -> Where:
        """Return the filter for some instances of a type, of which nothing was read yet."""
        if resource_type != GUARDED or not _is_guarded(self.scope.expression(resource_type, letter)):
            return self.scope.where(resource_type, letter)
        contexts = await self.store.contexts(resource_type, ids, self.session)
        # What is not there takes the same queries as what may not be seen, or the time would tell them apart.
        expression = await self._told(self.scope.expression(resource_type, letter), letter, contexts or NOBODY)
        return compiled(expression, resource_type, self.definitions)

    async def within(self, instances: Sequence[Key], letter: Letter) -> list[Key]:
        """Return those of some instances that the caller may do something with."""
        if all(self.scope.where(name, letter) == ANYTHING for name, _ in instances):
            return [*instances]
        found = await self.store.exists(instances, lambda name: self.scope.where(name, letter), self.session)
        guarded = [key for key in instances if key[0] == GUARDED and key not in found]
        return [*(key for key in instances if key in found), *guarded]

    async def permit(
        self, resource_type: str, letter: Letter, document: Mapping[str, Any], before: Stored | None = None
    ) -> None:
        """Refuse a write whose result would lie outside of what the caller may reach.

        Args:
            resource_type: Type.
            letter: `c` or `u`.
            document: The stored document that would come to be.
            before: The version that it follows, `None` where there is none.

        Raises:
            Forbidden: It would, or it is for patients not to write (`access.contribution`).
            Unprocessable: It would turn advice into something else.
        """
        advice.permit(self.scope.principal, resource_type, letter, document)
        expression = self.scope.expression(resource_type, letter)
        if resource_type == GUARDED and _is_guarded(expression):
            context = document["r"].get("securityContext", {}).get("reference")
            expression = await self._told(expression, letter, {context} if context else ())
        if matches(expression, document):
            who = self.scope.principal
            known = json.decode(before.body) if before and contribution.applies(who) else None
            contribution.require_next(who, resource_type, document["r"], known)
            await self._require_own_content(resource_type, document, "u")
            return
        if document.get("sl") and matches(expression, {**document, "sl": ()}):
            raise uncleared(resource_type, document["sl"])
        raise self._outside(resource_type, letter)

    async def require_own(self, resource_type: str, document: Mapping[str, Any], letter: Letter) -> None:
        """Refuse patients to change or delete what they have not said.

        Args:
            resource_type: Type.
            document: The stored document of now.
            letter: `u` or `d`.

        Raises:
            Forbidden: `patient-write-not-allowed`.
        """
        contribution.require_stored(self.scope.principal, resource_type, document["r"], letter)
        await self._require_own_content(resource_type, document, letter)

    async def _require_own_content(self, resource_type: str, document: Mapping[str, Any], letter: Letter) -> None:
        """Refuse patients the content of what is not their own: a Binary counts as what its `securityContext` names."""
        who = self.scope.principal
        if resource_type != GUARDED or not contribution.applies(who):
            return
        key = self._key(document["r"].get("securityContext", {}).get("reference", ""))
        if key is None or key in self.created:
            return
        for live in (await self.store.current(key[0], [key[1]], ANYTHING, self.session)).values():
            contribution.require_stored(who, key[0], live.document["r"], letter)

    def sees(self, resource_type: str, document: Mapping[str, Any]) -> bool:
        """Return whether the caller may see a document that was written."""
        letters: tuple[Letter, ...] = ("r", "s")
        return any(matches(self.scope.expression(resource_type, letter), document) for letter in letters)

    async def refuse_seen(self, resource_type: str, resource_id: str, letter: Letter) -> None:
        """Refuse to write what the caller may see but not write.

        Raises:
            Forbidden: It is there.
        """
        if self.scope.where(resource_type, letter) == ANYTHING:
            return
        where = await self.where(resource_type, "r", [resource_id]) if resource_type == GUARDED else None
        shown = where or self.scope.shown(resource_type)
        if await self.store.exists([(resource_type, resource_id)], lambda _: shown, self.session):
            raise self._outside(resource_type, letter)

    async def refuse_taken(self, resource_type: str, resource_id: str, letter: Letter) -> None:
        """Refuse to create under an id that somebody else's instance has, or may have.

        People who do not see all of a type cannot choose ids of it: whether one is free would tell what there is. They bring back
        what they have deleted. Systems choose ids, and may learn that one is taken.

        Raises:
            NotFound: The caller may not see it, or may not choose it.
            Forbidden: It was deleted, and is for patients not to bring back.
        """
        if self.scope.where(resource_type, letter) == ANYTHING:
            return
        key = (resource_type, resource_id)
        if self.scope.principal.audience != "system":
            last = await self._last_seen(key, letter)
            free = last is not None and last.deleted
        else:
            free = not await self.store.exists([key], lambda _: ANYTHING, self.session)
            if free and await self.store.last_version(*key, ANYTHING, self.session):
                last = await self._last_seen(key, letter)
                free = last is not None and last.deleted
        if not free:
            raise NotFound(
                f"There is no {resource_type}/{resource_id}. To create it, POST to {resource_type}: the server gives it an id."
            )
        if contribution.applies(self.scope.principal) and last is not None:
            ended = await self.store.read_version(*key, last.vid - 1, ANYTHING, self.session)
            contribution.require_revival(self.scope.principal, resource_type, json.decode(ended.body) if ended else {})

    async def _last_seen(self, key: Key, letter: Letter) -> Stored | None:
        """Return the last version that the caller may reach."""
        return await self.store.last_version(*key, await self.where(key[0], letter, [key[1]]), self.session)

    def referable(self, resource_type: str) -> Where:
        """Return the filter for what a written resource may refer to: what can be seen, and what the launch told of."""
        told = [resource_id for kind, resource_id in self.scope.told if kind == resource_type]
        shown = self.scope.shown(resource_type)
        if not told or shown == ANYTHING:
            return shown
        known: Mapping[str, Any] = {"_id": {"$in": sorted(told)}}
        return Where("clause", {"$or": [shown.clause, known]} if shown.kind == "clause" else known)

    def _outside(self, resource_type: str, letter: Letter) -> Forbidden:
        return insufficient(
            f"This grant does not cover writing this {resource_type}: it would lie, or lies, outside of the record or the criteria "
            "that the scopes are for.",
            self.scope.wanted(resource_type, letter),
        )

    async def _told(self, expression: Expression, letter: Letter, contexts: Iterable[str]) -> Expression:
        """Return the expression with those of the contexts that the caller may do the same with; to create, see."""
        keys = {text: key for text in contexts if (key := self._key(text))}
        seen = await self.store.exists(keys.values(), self._of(letter), self.session)
        known = seen | self.scope.told | self.created
        within = tuple(sorted(text for text, key in keys.items() if key in known))
        return _with(expression, within)

    def _of(self, letter: Letter) -> Callable[[str], Where]:
        def where_of(resource_type: str) -> Where:
            if resource_type == GUARDED:
                return NOTHING
            return self.scope.where(resource_type, letter) if letter in "ud" else self.scope.shown(resource_type)

        return where_of

    def _key(self, text: str) -> Key | None:
        instance = reference.local(text, self.base)
        if instance is None or instance.resource_type not in self.definitions.resource_types:
            return None
        return instance.resource_type, instance.id


def _is_guarded(expression: Expression) -> bool:
    match expression:
        case Guarded():
            return True
        case And(items) | Or(items):
            return any(map(_is_guarded, items))
    return False


def _with(expression: Expression, contexts: tuple[str, ...]) -> Expression:
    match expression:
        case Guarded(_, is_open):
            return Guarded(contexts, is_open) if contexts or is_open else Nothing()
        case And(items):
            return all_of(_with(item, contexts) for item in items)
        case Or(items):
            return any_of(_with(item, contexts) for item in items)
    return expression
