"""JSON Patch (RFC 6902) on decoded JSON, with the equality of JSON: 1 equals 1.0, but neither equals true nor "1".

A patch is read once and may be applied to any number of documents: nothing of it becomes part of a document, and nothing
of a document becomes part of it or comes to stand in the document twice.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.json import MAX_DEPTH

MOST_NODES = 1_000_000
"""Values that one application may copy or move; a few dozen `copy` operations could otherwise fill the memory."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        op: add, remove, replace, move, copy or test.
        path: Reference tokens of `path`.
        source: Reference tokens of `from`, empty where the operation has none.
        value: Value of add, replace and test.
        shown: How messages name it.
    """

    op: str
    path: Path
    source: Path
    value: Any
    shown: str


def read(rows: Sequence[Any]) -> tuple[Operation, ...]:
    """Return the operations of a JSON Patch document.

    Raises:
        BadRequest: A row is no operation of RFC 6902.
    """
    return tuple([_operation(index, row) for index, row in enumerate(rows)])


def apply(operations: Sequence[Operation], document: Any) -> Any:
    """Return what the operations make of the document, which is changed in place.

    Raises:
        Unprocessable: A `test` fails, a path leads nowhere, or the result is too deep or too large.
    """
    work = _Work(document)
    for operation in operations:
        _STEPS[operation.op](work, operation)
    return work.document


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal (RFC 6902 4.6): numbers by value, objects without regard to order."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return left == right
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(child, right[name]) for name, child in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class _Work:
    """A document under change."""

    __slots__ = ("document", "nodes")

    def __init__(self, document: Any) -> None:
        self.document = document
        self.nodes = 0

    def get(self, path: Path, operation: Operation) -> Any:
        """Return the value at a path."""
        value = self.document
        for token in path:
            value = _child(value, token, operation)
        return value

    def put(self, value: Any, operation: Operation, *, instead: bool = False) -> None:
        """Write a value at the operation's path, in an array before the present one or instead of it."""
        self._weigh(value, operation)
        if not operation.path:
            self.document = value
            return
        holder, token = self.get(operation.path[:-1], operation), operation.path[-1]
        if isinstance(holder, list) and not instead:
            holder.insert(len(holder) if token == "-" else _index(token, len(holder) + 1, operation), value)  # noqa: S105 - a reference token
        elif isinstance(holder, list):
            holder[_index(token, len(holder), operation)] = value
        elif isinstance(holder, dict):
            holder[token] = value
        else:
            raise _unfit(operation, f"there is no object or array that could hold '{token[:60]}'")

    def take(self, path: Path, operation: Operation) -> Any:
        """Remove the value at a path and return it."""
        if not path:
            raise _unfit(operation, "the whole document cannot be removed")
        holder, token = self.get(path[:-1], operation), path[-1]
        value = _child(holder, token, operation)
        del holder[int(token) if isinstance(holder, list) else token]
        return value

    def _weigh(self, value: Any, operation: Operation) -> None:
        """Refuse a value that would make the document too deep, or the patch too costly."""
        depth, level = len(operation.path), _containers([value])
        while level:
            depth += 1
            self.nodes += sum(map(len, level))
            if depth > MAX_DEPTH or self.nodes > MOST_NODES:
                limit = f"more than {MAX_DEPTH} levels deep" if depth > MAX_DEPTH else "too large"
                raise _unfit(operation, f"the result would be {limit}")
            level = [child for node in level for child in _containers(node)]


def _containers(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]


def _child(holder: Any, token: str, operation: Operation) -> Any:
    if isinstance(holder, list):
        return holder[_index(token, len(holder), operation)]
    if isinstance(holder, dict) and token in holder:
        return holder[token]
    raise _unfit(operation, f"'{token[:60]}' is not there")


def _index(token: str, length: int, operation: Operation) -> int:
    if not _INDEX.fullmatch(token):
        raise _unfit(operation, f"'{token[:60]}' is not an index of the array")
    if int(token) >= length:
        raise _unfit(operation, f"the array has no place {token}")
    return int(token)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(child) for name, child in value.items()}
    return [_copy(child) for child in value] if isinstance(value, list) else value


def _add(work: _Work, operation: Operation) -> None:
    work.put(_copy(operation.value), operation)


def _remove(work: _Work, operation: Operation) -> None:
    work.take(operation.path, operation)


def _replace(work: _Work, operation: Operation) -> None:
    work.get(operation.path, operation)
    work.put(_copy(operation.value), operation, instead=True)


def _move(work: _Work, operation: Operation) -> None:
    work.get(operation.source, operation)
    if operation.source == operation.path:
        return
    if operation.path[: len(operation.source)] == operation.source:
        raise _unfit(operation, "a value cannot be moved into itself")
    work.put(work.take(operation.source, operation), operation)


def _copy_over(work: _Work, operation: Operation) -> None:
    value = work.get(operation.source, operation)
    work.put(_copy(value), operation)


def _test(work: _Work, operation: Operation) -> None:
    if not same(work.get(operation.path, operation), operation.value):
        raise _unfit(operation, "the value there is another one. Read the resource again")


_STEPS: Mapping[str, Callable[[_Work, Operation], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy_over,
    "test": _test,
}


def _operation(index: int, row: Any) -> Operation:
    """Return an operation; members that RFC 6902 does not define are passed over (section 3)."""
    if not isinstance(row, dict):
        raise BadRequest(f"Operation {index} of the patch is not an object. Write it as RFC 6902 says.")
    op = row.get("op")
    if not isinstance(op, str) or op not in _STEPS:
        raise BadRequest(f"Operation {index} of the patch needs an op out of {', '.join(_STEPS)}.")
    if op in {"add", "replace", "test"} and "value" not in row:
        raise BadRequest(f"Operation {index} of the patch, {op}, needs a value.")
    path = _pointer(row, "path", index)
    source = _pointer(row, "from", index) if op in {"move", "copy"} else ()
    return Operation(op, path, source, row.get("value"), f"Operation {index} of the patch, {op} {row['path'][:100]}")


def _pointer(row: Mapping[str, Any], name: str, index: int) -> Path:
    """Return the reference tokens of a JSON Pointer (RFC 6901)."""
    text = row.get(name)
    if not isinstance(text, str) or not _POINTER.fullmatch(text):
        raise BadRequest(
            f"Operation {index} of the patch needs a {name} that is a JSON Pointer (RFC 6901), such as /name/0/family."
        )
    return tuple([token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]])


def _unfit(operation: Operation, problem: str) -> Unprocessable:
    return Unprocessable(f"{operation.shown}, does not fit the current version: {problem}.")
