"""What makes one resource of another, as a FHIRPath Patch (R4 fhirpatch.html): the inverse of `editing.apply`.

Items of a list are matched by equality, the longest common run of them; what stands between two matches is compared item by
item. Elements that are only added or changed come before those that go, so that nothing is without content in between.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from profiles.fhirpath.model import Member, Model, Option, Type

Json = dict[str, Any]

MOST_COMPARED = 250_000
"""Pairs of items that a list is compared by; longer lists are compared place by place."""

PARAMETER = "Parameters.parameter"
"""The type whose `value[x]` says which types a part can have as a value; others are spelled out in parts."""


def difference(before: Json, after: Json, model: Model, ignored: Collection[str] = ()) -> Json:
    """Return the Parameters resource that makes `after` of `before`; without parameters where nothing differs.

    Args:
        before: A resource.
        after: Another of the same type, valid as the first one is.
        model: The types.
        ignored: Elements of the resource that are left aside, such as `id`.

    Raises:
        ValueError: They are of different types.
    """
    kind = model.of(before)
    if model.of(after) is not kind or not kind.resource:
        raise ValueError("only resources of one type can be compared")
    found = _Difference(model)
    found.objects(kind.name, kind, before, after, ignored)
    return {"resourceType": "Parameters", **({"parameter": found.rows} if found.rows else {})}


class _Difference:
    """The operations found so far."""

    def __init__(self, model: Model) -> None:
        self.rows: list[Json] = []
        parameter = model.type(PARAMETER)
        member = parameter.members["value"] if parameter else None
        self._types = frozenset(option.type.name for option in member.options) if member else frozenset[str]()

    def objects(self, path: str, kind: Type, before: Json, after: Json, ignored: Collection[str] = ()) -> None:
        """Add what makes one object of the other."""
        gone: list[str] = []
        for member in _members(kind):
            if member.name in ignored:
                continue
            place = f"{path}.{member.name}"
            if member.array:
                self._lists(path, member, _items(before, member), _items(after, member), gone)
                continue
            old, new = _single(before, member), _single(after, member)
            if _exact(old) == _exact(new):
                continue
            if new is None:
                gone.append(place)
            elif old is None:
                self._say("add", path, name=member.name, value=new)
            else:
                self._change(place, old, new)
        for place in gone:
            self._say("delete", place)

    def _lists(self, path: str, member: Member, before: list["_Held"], after: list["_Held"], gone: list[str]) -> None:
        place = f"{path}.{member.name}"
        if not before:
            for item in after:
                self._say("add", path, name=member.name, value=item)
            return
        if not after:
            gone.extend(f"{place}[{index}]" for index in range(len(before) - 1, -1, -1))
            return
        # From the end, so that the places before stay what they are.
        for (old_from, old_to), (new_from, new_to) in reversed(_gaps(before, after)):
            common = min(old_to - old_from, new_to - new_from)
            for index in range(old_to - 1, old_from + common - 1, -1):
                self._say("delete", f"{place}[{index}]")
            for item in reversed(after[new_from + common : new_to]):
                self._say("insert", place, index=old_from + common, value=item)
            for offset in range(common - 1, -1, -1):
                old, new = before[old_from + offset], after[new_from + offset]
                if _exact(old) != _exact(new):
                    self._change(f"{place}[{old_from + offset}]", old, new)

    def _change(self, place: str, old: "_Held", new: "_Held") -> None:
        """Say what makes one value of another: by its parts, where it keeps some, else as a whole."""
        kind = old.option.type
        if old.option.key == new.option.key and not kind.primitive and not old.option.any and _alike(old, new):
            self.objects(place, kind, old.json, new.json)
        else:
            self._say("replace", place, value=new)

    def _say(
        self, kind: str, path: str, *, name: str = "", index: int | None = None, value: "_Held | None" = None
    ) -> None:
        parts: list[Json] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
        if name:
            parts.append({"name": "name", "valueString": name})
        if index is not None:
            parts.append({"name": "index", "valueInteger": index})
        if value is not None:
            parts.append(self._part("value", value))
        self.rows.append({"name": "operation", "part": parts})

    def _part(self, name: str, held: "_Held") -> Json:
        """Return a value as a part: as `value[x]`, as a resource, or spelled out."""
        kind = held.option.type
        if held.option.any:
            return {"name": name, "resource": held.json}
        if kind.primitive:
            type_name = kind.name if kind.name in self._types else "string"
            key = f"value{type_name[0].upper()}{type_name[1:]}"
            value = {key: held.json} if held.json is not None else {}
            sibling = {f"_{key}": held.sibling} if held.sibling is not None else {}
            return {"name": name, **value, **sibling}
        if kind.name in self._types:
            return {"name": name, f"value{kind.name[0].upper()}{kind.name[1:]}": held.json}
        parts = [
            self._part(member.name, one)
            for member in _members(kind)
            for one in (_items(held.json, member) if member.array else filter(None, [_single(held.json, member)]))
        ]
        return {"name": name, "part": parts}


class _Held:
    """A value with the JSON key that it stands under, and what belongs to a primitive."""

    __slots__ = ("json", "option", "sibling")

    def __init__(self, option: Option, json: Any, sibling: Any = None) -> None:
        self.option = option
        self.json = json
        self.sibling = sibling


def _members(kind: Type) -> Iterator[Member]:
    for name in kind.names:
        member = kind.members[name]
        if member is not None:
            yield member


def _single(holder: Json, member: Member) -> _Held | None:
    for option in member.options:
        if option.key in holder or (option.sibling and option.sibling in holder):
            return _Held(option, holder.get(option.key), holder.get(option.sibling) if option.sibling else None)
    return None


def _items(holder: Json, member: Member) -> list[_Held]:
    option = member.options[0]
    values: list[Any] = holder.get(option.key) or []
    siblings: list[Any] = (holder.get(option.sibling) or []) if option.sibling else []
    count = max(len(values), len(siblings))
    return [
        _Held(option, values[n] if n < len(values) else None, siblings[n] if n < len(siblings) else None)
        for n in range(count)
    ]


def _alike(old: _Held, new: _Held) -> bool:
    """Return whether two objects have a member in common or one to look into, so that it is shorter to say what differs."""
    return any(
        key in new.json and (isinstance(value, dict | list) or _plain(value) == _plain(new.json[key]))
        for key, value in old.json.items()
    )


def _gaps(before: Sequence[_Held], after: Sequence[_Held]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the stretches, in order, of one list and the other that differ; what stands between them is the same."""
    old, new = [_exact(one) for one in before], [_exact(one) for one in after]
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    pairs = _common(old[head : len(old) - tail], new[head : len(new) - tail])
    edges = [*((head + one, head + other) for one, other in pairs), (len(old) - tail, len(new) - tail)]
    found, at = list[tuple[tuple[int, int], tuple[int, int]]](), (head, head)
    for one, other in edges:
        if (one, other) != at:
            found.append(((at[0], one), (at[1], other)))
        at = (one + 1, other + 1)
    return found


def _common(old: Sequence[Any], new: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence; none where looking for it would take long."""
    if not old or not new or len(old) * len(new) > MOST_COMPARED:
        return []
    lengths = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for one in range(len(old) - 1, -1, -1):
        for other in range(len(new) - 1, -1, -1):
            longer = max(lengths[one + 1][other], lengths[one][other + 1])
            lengths[one][other] = lengths[one + 1][other + 1] + 1 if old[one] == new[other] else longer
    found, one, other = list[tuple[int, int]](), 0, 0
    while one < len(old) and other < len(new):
        if old[one] == new[other]:
            found.append((one, other))
            one, other = one + 1, other + 1
        elif lengths[one + 1][other] >= lengths[one][other + 1]:
            one += 1
        else:
            other += 1
    return found


def _exact(held: _Held | None) -> Any:
    """Return what two values have in common only if they are the same to the last digit."""
    return None if held is None else (held.option.key, _plain(held.json), _plain(held.sibling))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return frozenset((key, _plain(one)) for key, one in value.items())
    if isinstance(value, list):
        return tuple(_plain(one) for one in value)
    return (type(value).__name__, str(value)) if isinstance(value, Decimal | bool | int | float) else value
